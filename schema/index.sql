-- Indexes for the usual questions, made last: building them once is faster than keeping them. Run by
-- the recorder and by `whoholds expand` when the derived tables are complete.
CREATE INDEX IF NOT EXISTS timeline_process ON timeline(process_id, at_ns);
CREATE INDEX IF NOT EXISTS module_process ON module(process_id, start_address);
