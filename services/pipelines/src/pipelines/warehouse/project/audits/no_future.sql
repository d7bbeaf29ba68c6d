AUDIT (name no_future);
SELECT * FROM @this_model WHERE @column > CAST(@snapshot_end AS TIMESTAMP)
