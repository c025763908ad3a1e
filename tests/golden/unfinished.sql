-- What a killed recorder leaves behind: content, but no totals.
INSERT INTO trace(key, value) VALUES ('version', '0.1.0'), ('start_ns', 1700000000000000000);
INSERT INTO process(id, pid, exe, start_ns) VALUES (1, 100, '/bin/true', 0);
DROP TABLE allocation;
DROP TABLE site;
DROP TABLE timeline;
DROP TABLE folded;
