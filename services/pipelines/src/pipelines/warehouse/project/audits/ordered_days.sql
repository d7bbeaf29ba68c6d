AUDIT (name ordered_days);
SELECT * FROM @this_model WHERE @later < @earlier
