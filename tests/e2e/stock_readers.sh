#!/usr/bin/env bash
# The trace is plain SQLite: the stock shell and Python's module read every public table and view
# without an extension; the file says what it is.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need "$PYTHON"

record "$TMP/t.db" "$PROGRAMS/t_leak" 100 >/dev/null
check_eq "1464364132|2" "$(q "$TMP/t.db" "SELECT (SELECT * FROM pragma_application_id), (SELECT * FROM pragma_user_version)")" "application_id and user_version"
check_eq ok "$(q "$TMP/t.db" "PRAGMA integrity_check")" "integrity"

# The interface, column by column, as promised.
while read -r table columns; do
    q "$TMP/t.db" "SELECT $columns FROM $table LIMIT 1" >/dev/null || fail "table $table has not the columns $columns"
done <<'TABLES'
trace key,value
process id,parent_id,pid,exe,command_line,start_ns,end_ns,exit_code,term_signal,events,lost_events,peak_bytes,peak_ns
thread id,process_id,tid,name,start_ns,end_ns
module id,process_id,path,build_id,start_address,end_address,load_ns,unload_ns
stack_frame stack_id,depth,function,file,line,module,address,inlined
allocation id,process_id,thread_id,address,size_bytes,kind,alloc_ns,stack_id,free_ns,free_thread_id,free_stack_id
site process_id,stack_id,creator,alloc_objects,alloc_space,inuse_objects,inuse_space,peak_objects,peak_space,temporary_objects
timeline process_id,at_ns,live_objects,live_bytes,rss_bytes
snapshot id,process_id,at_ns,reason,label,pause_ns,live_objects,live_bytes,held_bytes,lost_bytes,gap_bytes
root id,snapshot_id,kind,name,module,type_name
held snapshot_id,allocation_id,state,root_id,path_id,dominator_id,retained_bytes,holders,visible_bytes,acquirer_stack_id
path id,snapshot_id,root_id,holder,keeper,text,length
reference snapshot_id,from_allocation_id,from_root_id,from_offset,to_allocation_id,to_offset
gap snapshot_id,creator,holder,objects,bytes,retained_bytes,amplification,hidden
finding snapshot_id,rule,severity,creator,holder,bytes,objects,evidence,advice
TABLES

"$PYTHON" - "$TMP/t.db" <<'PYTHON' >"$TMP/python.out"
import sqlite3, sys
db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)
print(db.execute("SELECT creator, sum(alloc_objects) FROM site WHERE creator = 'parse_request'").fetchone())
print(db.execute("SELECT function FROM stack_frame WHERE function = 'main' LIMIT 1").fetchone())
PYTHON
check_eq "('parse_request', 100)
('main',)" "$(cat "$TMP/python.out")" "what Python reads"
