-- Telling a notice twice is harmless, so that nobody has to take it first.
ALTER TABLE notices DROP COLUMN taken_until;
