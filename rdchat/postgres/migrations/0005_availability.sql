-- When a psychologist can be booked: weekly hours and exceptions, as one document. It is written as a whole and
-- read as a whole, always under the row's lock where it counts. NULL: nothing was said, always.
ALTER TABLE psychologists ADD COLUMN availability jsonb;

-- What a psychologist has at a time is looked for in the two days before it, among all of their counsellings:
-- so that this index also finds how many they have on a day, and what they have ever had.
DROP INDEX counselings_by_psychologist;
CREATE INDEX counselings_by_psychologist ON counselings (psychologist_id, starts_at, id);
