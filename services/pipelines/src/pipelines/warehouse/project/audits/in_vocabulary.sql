AUDIT (name in_vocabulary);
SELECT * FROM @this_model
WHERE @column IS NOT NULL
  AND @column NOT IN (SELECT word FROM source.vocabulary WHERE name = @vocabulary)
