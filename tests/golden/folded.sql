-- A long recording that was cut short: most lifetimes exist only as sums, tracing switched itself off in
-- one process, and the allocations were sampled.
INSERT INTO trace(key, value) VALUES
    ('version', '0.1.0'), ('start_ns', 1700000000000000000), ('command_line', 'churn'), ('complete', 1),
    ('truncated', 'no space left on the device'), ('events', 3000001), ('lost_events', 0),
    ('allocation_rows', 'live'), ('sample_bytes', 524288);
INSERT INTO process(id, pid, exe, start_ns, end_ns, exit_code, events, unwind_mismatches, live_objects,
    live_bytes, peak_bytes, peak_ns, disabled) VALUES
    (1, 200, '/usr/bin/churn', 0, 65000000000, 1, 3000001, 4, 1, 1000, 2000, 1000000, 'the ring was overwritten');
INSERT INTO thread(id, process_id, serial, tid, name, start_ns) VALUES (1, 1, 1, 200, 'churn', 0), (2, 1, 2, 201, NULL, 5);
INSERT INTO frame(id, module, address, function, file, line, inlined) VALUES (1, 'churn', 16, 'spin', NULL, NULL, 0);
INSERT INTO stack(id, frames, creator) VALUES (1, '[1]', 'spin');
INSERT INTO allocation(id, process_id, thread_id, address, size_bytes, kind, alloc_ns, stack_id, free_ns, free_thread_id) VALUES
    (1, 1, 1, 4096, 1000, 'malloc', 1000, 1, NULL, NULL), (2, 1, 2, 8192, 1000, 'malloc', 2000, 1, 2000000, 1);
INSERT INTO folded(process_id, stack_id, free_stack_id, thread_id, size_class, second, objects, bytes, lifetime_ns) VALUES
    (1, 1, 0, 1, 1024, 0, 999999, 999999000, 5), (1, 1, 0, 2, 64, 1, 500000, 25000000, 5);
INSERT INTO site(process_id, stack_id, creator, alloc_objects, alloc_space, inuse_objects, inuse_space,
    peak_objects, peak_space, temporary_objects) VALUES (1, 1, 'spin', 1500001, 1025001000, 1, 1000, 2, 2000, 1400000);
