# postgres with pgbench; as another user if this one is root, whom it does not serve.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
as=
if [ "$(id -u)" = 0 ]; then
  chown postgres .
  as="setpriv --reuid postgres --regid postgres --clear-groups"
fi
$as "$bin/initdb" -D data -A trust -U postgres --no-sync >init.log
$as "$bin/pg_ctl" -D data -w -l "$PWD/data/log" -o "-c listen_addresses= -k $PWD" start >/dev/null
db() { $as "$bin/psql" -h "$PWD" -U postgres -qAt -c "$1"; }
$as "$bin/pgbench" -h "$PWD" -U postgres -q -i -s 1 postgres >pgbench.log 2>&1
$as "$bin/pgbench" -h "$PWD" -U postgres -c 2 -j 2 -t 300 postgres 2>&1 | grep -o 'processed: .*'
db 'select count(*) from pgbench_accounts'
db 'select sum(x) from generate_series(1, 100000) x'
db "set jit = on; set jit_above_cost = 0; select count(*) from pgbench_accounts where abalance * 2 < 1000000000"
$as "$bin/pg_ctl" -D data -m fast -w stop >/dev/null
echo stopped
