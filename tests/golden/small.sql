-- A small trace written by hand: a shell that forked a server, which forked a worker that was killed.
-- The sums of site, allocation and process agree, as a recorder's would.
INSERT INTO trace(key, value) VALUES
    ('version', '0.1.0'), ('host', 'golden'), ('kernel', 'Linux'), ('start_ns', 1700000000000000000),
    ('command_line', 'sh -c server'), ('complete', 1), ('events', 26), ('lost_events', 3),
    ('lost_processes', 1), ('allocation_rows', 'all'), ('sample_bytes', 0);

INSERT INTO process(id, parent_id, pid, exe, command_line, start_ns, end_ns, exit_code, term_signal,
    is_exec, is_replaced, events, lost_events, truncated_stacks, unresolved_stacks, unknown_frees,
    live_objects, live_bytes, peak_bytes, peak_ns, peak_rss_bytes, allocator, allocator_inuse_bytes) VALUES
    (1, NULL, 100, '/bin/sh', 'sh -c server', 0, 1000000, NULL, NULL, 0, 1, 2, 0, 0, 0, 0,
     1, 64, 64, 500000, 1048576, '/lib/libc.so.6', NULL),
    (2, 1, 100, '/srv/server', 'server', 1000000, 9000000000, 0, NULL, 1, 0, 18, 0, 1, 0, 1,
     5, 5251072, 6291456, 4000000000, 16777216, '/lib/libc.so.6', 5300000),
    (3, 2, 101, '/srv/server', 'server', 2000000000, 5000000000, NULL, 9, 0, 0, 6, 3, 0, 2, 0,
     2, 4096, 8192, 3000000000, 8388608, NULL, NULL);

INSERT INTO thread(id, process_id, serial, tid, name, start_ns, end_ns) VALUES
    (1, 1, 1, 100, 'sh', 0, NULL), (2, 2, 1, 100, 'server', 1000000, NULL),
    (3, 2, 2, 105, 'poll-1', 1500000000, 8000000000), (4, 3, 1, 101, 'server', 2000000000, NULL);

INSERT INTO module(id, process_id, path, build_id, start_address, end_address, load_bias, load_ns) VALUES
    (1, 2, '/srv/server', 'abcd', 4194304, 5242880, 0, 1000000);

INSERT INTO stack_node(id, process_id, parent_id, address) VALUES
    (1, 2, 0, 4194400), (2, 2, 1, 4194500), (3, 2, 1, 4194600), (4, 3, 0, 4194400), (5, 1, 0, 4195000);

-- An escape sequence in a symbol must never reach a terminal.
INSERT INTO frame(id, module, address, function, file, line, inlined) VALUES
    (1, 'server', 96, 'main', 'server.c', 12, 0), (2, 'server', 196, 'cache_fill', 'cache.c', 40, 0),
    (3, 'server', 296, 'std::vector<int, std::allocator<int> >::push_back(int&&)', 'v.h', 7, 1),
    (4, 'server', 300, 'evil' || char(27) || '[31m, "quoted"', NULL, NULL, 0);
INSERT INTO stack(id, frames, creator) VALUES
    (1, '[1]', 'main'), (2, '[2,1]', 'cache_fill'),
    (3, '[3,4,1]', 'evil' || char(27) || '[31m, "quoted"'), (4, '[1]', 'main'), (5, '[]', NULL);

INSERT INTO allocation(id, process_id, thread_id, address, size_bytes, kind, alloc_ns, stack_id, free_ns,
    free_thread_id) VALUES
    (1, 1, 1, 4096, 64, 'malloc', 500000, 5, NULL, NULL),
    (2, 2, 2, 4096, 4194304, 'malloc', 1100000000, 2, NULL, NULL),
    (3, 2, 3, 8392704, 1048576, 'mmap', 1600000000, 2, NULL, NULL),
    (4, 2, 2, 9441280, 4096, 'calloc', 1700000000, 1, NULL, NULL),
    (5, 2, 3, 9445376, 3000, 'new[]', 1800000000, 3, NULL, NULL),
    (6, 2, 3, 9449472, 1096, 'malloc', 1900000000, 0, NULL, NULL),
    (7, 2, 3, 9453568, 1040384, 'malloc', 3900000000, 3, 4100000000, 3),
    (8, 2, 2, 12582912, 100, 'malloc', 6000000000, 2, 6000000100, 2),
    (9, 2, 2, 12582912, 100, 'malloc', 6000000200, 2, 6000000300, 2),
    (10, 3, 4, 4096, 4000, 'malloc', 2100000000, 4, NULL, NULL),
    (11, 3, 4, 8192, 96, 'realloc', 2200000000, 4, NULL, NULL),
    (12, 3, 4, 12288, 4096, 'malloc', 2900000000, 4, 3100000000, 4);

INSERT INTO site(process_id, stack_id, creator, alloc_objects, alloc_space, inuse_objects, inuse_space,
    peak_objects, peak_space, temporary_objects) VALUES
    (1, 5, NULL, 1, 64, 1, 64, 1, 64, 0),
    (2, 0, NULL, 1, 1096, 1, 1096, 1, 1096, 0),
    (2, 1, 'main', 1, 4096, 1, 4096, 1, 4096, 0),
    (2, 2, 'cache_fill', 4, 5243080, 2, 5242880, 2, 5242880, 2),
    (2, 3, 'evil' || char(27) || '[31m, "quoted"', 2, 1043384, 1, 3000, 2, 1043384, 0),
    (3, 4, 'main', 3, 8192, 2, 4096, 3, 8192, 0);

INSERT INTO timeline(process_id, at_ns, live_objects, live_bytes, rss_bytes) VALUES
    (2, 4000000000, 6, 6291456, 16777216), (2, 9000000000, 5, 5251072, NULL);

INSERT INTO snapshot(id, process_id, at_ns, reason, label, mode, pause_ns, stop_ns, fork_ns, scan_ns,
    image_bytes, live_objects, live_bytes, held_bytes, lost_bytes, shared_bytes, untracked_bytes,
    gap_bytes, unknown_blocks) VALUES
    (1, 2, 4000000000, 'peak', NULL, 'fork', 1500000, 400000, 1100000, 9000000, 8388608,
     6, 6291456, NULL, NULL, NULL, NULL, NULL, 0),
    (2, 2, 8999000000, 'exit', 'at the end', 'fork', 1200000, 300000, 900000, 8000000, 8388608,
     5, 5251072, 5248072, 3000, 0, 0, 4194304, 1);
INSERT INTO gap(snapshot_id, creator, holder, objects, bytes, retained_bytes, amplification, hidden) VALUES
    (2, 'cache_fill', 'pollmanager.polls[*].barriers[*].bs[*]', 1, 4194304, 4194304, 65536.0, 1),
    (2, 'cache_fill', 'cache', 1, 1048576, 1048576, NULL, 0),
    (2, 'main', 'config', 1, 4096, 4096, NULL, 0),
    (2, '(no stack)', 'stack of main', 1, 1096, 1096, NULL, 0),
    (2, 'evil' || char(27) || '[31m, "quoted"', 'lost', 1, 3000, 3000, NULL, 0);

INSERT INTO note(process_id, at_ns, kind, text) VALUES
    (2, 1000000, 'unhooked_module', '/opt/static-allocator.so'), (3, 2000000000, 'unhooked_module', '/opt/static-allocator.so'),
    (2, 1000000, 'allocator', '/lib/libc.so.6');
