-- How often a worker has taken the file up since it last got somewhere: one that ended two of them is refused.
ALTER TABLE family_import ADD COLUMN attempts integer NOT NULL DEFAULT 0;

-- Names as they are compared and written since then: composed (NFC), on one line.
UPDATE household SET name = normalize(regexp_replace(name, '\s*[\r\n]+\s*', ' ', 'g'), NFC)
WHERE name IS NOT NFC NORMALIZED OR name ~ '[\r\n]';
UPDATE household SET address = (
    SELECT array_agg(normalize(regexp_replace(line, '\s*[\r\n]+\s*', ' ', 'g'), NFC) ORDER BY place)
    FROM unnest(address) WITH ORDINALITY AS of (line, place)
)
WHERE array_to_string(address, ' ') IS NOT NFC NORMALIZED OR array_to_string(address, ' ') ~ '[\r\n]';
UPDATE child SET
    first_name = normalize(regexp_replace(first_name, '\s*[\r\n]+\s*', ' ', 'g'), NFC),
    last_name = normalize(regexp_replace(last_name, '\s*[\r\n]+\s*', ' ', 'g'), NFC)
WHERE first_name || last_name IS NOT NFC NORMALIZED OR first_name || last_name ~ '[\r\n]';
UPDATE account SET
    first_name = normalize(regexp_replace(first_name, '\s*[\r\n]+\s*', ' ', 'g'), NFC),
    last_name = normalize(regexp_replace(last_name, '\s*[\r\n]+\s*', ' ', 'g'), NFC)
WHERE first_name || last_name IS NOT NFC NORMALIZED OR first_name || last_name ~ '[\r\n]';

-- Days of custody outside the calendar that the contracts know (« until 9999 ») end where it ends.
UPDATE household_child SET custody_days = (
    SELECT coalesce(jsonb_agg(jsonb_build_array(
        greatest(span ->> 0, '1900-01-01'), least(greatest(span ->> 1, '1900-01-01'), '2199-12-31')) ORDER BY place), '[]')
    FROM jsonb_array_elements(custody_days) WITH ORDINALITY AS of (span, place)
    WHERE span ->> 0 <= '2199-12-31'
)
WHERE jsonb_array_length(custody_days) > 0
  AND EXISTS (SELECT FROM jsonb_array_elements(custody_days) AS span
              WHERE span ->> 0 NOT BETWEEN '1900-01-01' AND '2199-12-31' OR span ->> 1 > '2199-12-31');
