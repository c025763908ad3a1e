#!/usr/bin/env bash
# git log in a repository made here: same output, its pager-less tree recorded.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need git

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"
git init -q "$TMP/repo"
cd "$TMP/repo"
for i in $(seq 60); do
    seq "$i" $((i * 20)) >file
    git add file
    git commit -qm "change $i"
done
same "$TMP/t.db" git --no-pager log --stat -p
check_ge 5000 "$(q "$TMP/t.db" "SELECT sum(alloc_objects) FROM site")" "allocations of git log"
check_eq 0 "$(q "$TMP/t.db" "SELECT value FROM trace WHERE key = 'lost_events'")" "lost events"
