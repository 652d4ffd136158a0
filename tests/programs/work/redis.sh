# redis-server with redis-benchmark, a background save by fork.
set -eu
redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" --save '' --daemonize no >log 2>&1 &
server=$!
for _ in $(seq 100); do redis-cli -s socket ping >/dev/null 2>&1 && break; sleep 0.05; done
redis-benchmark -s socket -q -n 20000 -c 20 -t set,get,lpush,lrange_100 >/dev/null
redis-cli -s socket set key value
redis-cli -s socket get key
redis-cli -s socket bgsave >/dev/null
for _ in $(seq 100); do [ -s dump.rdb ] && break; sleep 0.05; done
redis-cli -s socket eval 'local t = 0 for i = 1, 1000 do t = t + i end return t' 0
redis-cli -s socket memory purge
redis-cli -s socket shutdown nosave || true
wait $server
[ -s dump.rdb ] && echo saved
