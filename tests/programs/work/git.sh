# git: commits, clone, gc, fsck.
set -eu
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q -b main one
{
  for i in $(seq 1 300); do
    printf 'commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 4\nc%03d\n' $((1700000000 + i)) "$i"
    printf 'M 644 inline file%d\ndata <<END\n' $((i % 30)); seq 1 $((i * 3)); printf 'END\n\n'
  done
} | git -C one fast-import --quiet
git -C one checkout -q main 2>/dev/null || git -C one reset -q --hard
git clone -q --no-local one two
for i in 1 2 3 4 5; do seq "$i" > two/new; git -C two add new; git -C two commit -qm "commit $i"; done
git -C two gc -q --aggressive
git -C two fsck --no-progress
git -C two log --oneline | wc -l
git -C two grep -c 299 | head -n 3
git -C two diff --stat HEAD~3 | tail -n 1
git -C one pull -q ../two main
git -C one rev-parse HEAD
