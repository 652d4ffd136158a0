# chromium, headless: renders a page with scripts in it.
set -eu
cat > page.html <<'END'
<!doctype html><title>t</title><body><script>
let s = 0; for (let i = 0; i < 3000000; i++) s = (s * 31 + i) | 0;
const c = document.createElement('canvas'); c.width = c.height = 64; const g = c.getContext('2d'); g.fillRect(0, 0, 32, 32);
document.body.textContent = 'script ' + s + ' canvas ' + g.getImageData(10, 10, 1, 1).data[3];
</script>
END
chromium --headless=new --no-sandbox --disable-gpu --no-first-run --user-data-dir="$PWD/profile" --virtual-time-budget=5000 \
  --dump-dom "file://$PWD/page.html" 2>log | grep -o 'script .*[0-9]'
chromium --headless=new --no-sandbox --disable-gpu --no-first-run --user-data-dir="$PWD/profile" --screenshot="$PWD/shot.png" \
  --window-size=400,300 "file://$PWD/page.html" 2>>log
head -c 4 shot.png | tail -c 3
