# Prints the mappings of a program whose parent has ended, where many programs with as many filters have run before.
set -eu
if [ "${1:-}" = parent ]; then
  parent=$$
  (
    while [ -d "/proc/$parent" ]; do :; done
    exec cat /proc/self/maps
  ) &
  exit
fi
count=0
while [ $count -lt 40 ]; do
  count=$((count + 1))
  sh -c 'sh -c "true; :"; :'
done
sh -c "sh '$0' parent; :"
