# nginx with wrk.
set -eu
mkdir -p www logs
seq 1 2000 > www/index.html
port=$((20000 + $$ % 20000))
cat > nginx.conf <<END
daemon off; pid $PWD/pid; error_log $PWD/logs/error; worker_processes 2; user root;
events { worker_connections 64; }
http { access_log off; root $PWD/www; server { listen 127.0.0.1:$port; gzip on; gzip_types *;
  client_body_temp_path $PWD/a; proxy_temp_path $PWD/b; fastcgi_temp_path $PWD/c; uwsgi_temp_path $PWD/d; scgi_temp_path $PWD/e; } }
END
nginx=$(command -v nginx || echo /usr/sbin/nginx)
"$nginx" -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/logs/error" &
server=$!
sleep 0.5
wrk -t 1 -c 8 -d 1s "http://127.0.0.1:$port/" > wrk.log
grep -q 'Requests/sec' wrk.log && ! grep -q 'Non-2xx' wrk.log && echo served
kill -HUP $server
sleep 0.5
wrk -t 1 -c 8 -d 1s "http://127.0.0.1:$port/" | grep -q 'Requests/sec' && echo reloaded
kill -QUIT $server
wait $server
