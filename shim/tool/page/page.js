'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const byId = (id) => document.getElementById(id);
  const number = (hex) => Number('0x' + hex);
  const address = (value) => '0x' + value.toString(16);
  const many = (count, one, more) => count.toLocaleString('en') + ' ' + (count === 1 ? one : more);
  const base = (path) => path.slice(path.lastIndexOf('/') + 1) || path;

  // An element. Text from the data goes in as text alone, never as HTML.
  function make(tag, attributes = {}, ...content) {
    const element = tag === 'svg' || tag === 'rect' || tag === 'circle' || tag === 'path' || tag === 'g' || tag === 'title'
      ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === 'style') Object.entries(value).forEach(([key, one]) => element.style.setProperty(key, one));
      else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (value !== undefined) element.setAttribute(name, value);
    }
    element.append(...content);
    return element;
  }

  function size(bytes) {
    const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
    let value = bytes / 1024;
    let unit = 0;
    for (; value >= 1000 && unit + 1 < units.length; ++unit) value /= 1024;
    return value.toFixed(unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2) + ' ' + units[unit];
  }

  // ---- the data, with numbers for addresses and times ----

  const hits = (data.hits || []).map(([image, finding, time, start, end, at]) => ({
    image, finding, time: Date.parse(time), start: number(start), end: number(end), at: number(at)}));
  data.images.forEach((image, index) => {
    image.index = index;
    image.hits = hits.filter((hit) => hit.image === index);
    image.parts = [];
    image.objects = image.objects.map(({name, pieces, sections}) => {
      const object = {
        name,
        sections: sections.map(([title, start, end]) => ({name: title, start: number(start), end: number(end)}))};
      object.parts = pieces.map(([start, end, protection, offset, sealed]) => ({
        object, start: number(start), end: number(end), protection, offset, sealed: sealed === 1}));
      object.parts.forEach((part) => {
        part.size = part.end - part.start;
        part.sections = object.sections.filter((one) => one.start < part.end && one.end > part.start);
      });
      object.start = object.parts[0].start;
      object.end = object.parts[object.parts.length - 1].end;
      object.size = object.parts.reduce((sum, part) => sum + part.size, 0);
      object.sealed = object.parts.reduce((sum, part) => sum + (part.sealed ? part.size : 0), 0);
      image.parts.push(...object.parts);
      return object;
    });
    image.parts.forEach((part) => { part.hits = []; });
    for (const hit of image.hits) {
      let low = 0;
      for (let high = image.parts.length; low < high;) {
        const middle = (low + high) >> 1;
        if (image.parts[middle].end <= hit.at) low = middle + 1;
        else high = middle;
      }
      if (low < image.parts.length && image.parts[low].start <= hit.at) image.parts[low].hits.push(hit);
    }
  });

  const titleOf = (object) => object.name === '' ? 'anonymous' : base(object.name);
  function kindOf(part) {
    const right = part.protection;
    const kind = right[2] === 'x' ? 'x' : right[1] === 'w' ? 'w' : right[0] === 'r' ? 'r' : 'none';
    return kind + (part.sealed ? ' sealed' : '');
  }

  // ---- what is shown ----

  const shown = {image: 0, program: '', call: '', host: ''};
  const wanted = (hit) => {
    const finding = data.findings[hit.finding];
    return (!shown.program || finding.program === shown.program) && (!shown.call || finding.call === shown.call) &&
      (!shown.host || data.images[hit.image].host === shown.host);
  };
  const imageName = (image) => `${base(image.program)}, process ${image.pid}` + (image.host && hosts.length > 1 ? ` on ${image.host}` : '');
  const hosts = [...new Set(data.images.map((image) => image.host))].sort();
  let selected = null;

  // ---- the strip: all that is mapped, to scale ----

  function drawOverview(image) {
    const width = 1000;
    const gapWidth = 14;
    const clusters = [];
    for (const part of image.parts) {
      const last = clusters[clusters.length - 1];
      if (last && part.start - last.end < 2 ** 26) {
        last.parts.push(part);
        last.end = part.end;
        last.size += part.size;
      } else {
        clusters.push({parts: [part], start: part.start, end: part.end, size: part.size});
      }
    }
    // A part that is many times larger than the rest is cut, because nothing else could be seen otherwise.
    const sizes = image.parts.map((part) => part.size).sort((one, other) => other - one);
    const total = sizes.reduce((sum, one) => sum + one, 0);
    let most = sizes[0] || 1;
    for (let rest = total, index = 0; index < sizes.length; ++index) {
      rest -= sizes[index];
      if (sizes[index] <= rest) {
        most = Math.max(sizes[index], rest / 3);
        break;
      }
    }
    const drawn = (part) => Math.min(part.size, most);
    const sum = image.parts.reduce((all, part) => all + drawn(part), 0);
    const least = 10;
    const free = width - gapWidth * (clusters.length - 1) - least * clusters.length;
    const svg = make('svg', {viewBox: `0 0 ${width} 44`, preserveAspectRatio: 'none', role: 'img',
      'aria-label': `All mappings in one strip: ${size(total)} in ${many(image.parts.length, 'part', 'parts')}`});
    let left = 0;
    clusters.forEach((cluster, index) => {
      const clusterSum = cluster.parts.reduce((all, part) => all + drawn(part), 0);
      const scale = (least + free * clusterSum / sum) / clusterSum;
      for (const part of cluster.parts) {
        const partWidth = drawn(part) * scale;
        svg.append(make('rect', {class: 'strip ' + kindOf(part), x: left.toFixed(3), y: 10, width: partWidth.toFixed(3), height: 30,
          style: {fill: kindOf(part).startsWith('none') ? 'var(--line)' : 'var(--fill)', cursor: 'pointer'},
          onclick: () => select(part, true)}, make('title', {}, `${titleOf(part.object)} ${part.protection}, ${size(part.size)}`)));
        if (drawn(part) < part.size) {
          const middle = left + partWidth / 2;
          svg.append(make('path', {d: `M${middle - 2} 42 L${middle + 1} 8 L${middle + 4} 8 L${middle + 1} 42 Z`, style: {fill: 'var(--paper)'}}));
        }
        const marks = new Set(hitsIn(part).map((hit) => (left + (hit.at - part.start) / part.size * partWidth).toFixed(0)));
        for (const x of marks) {
          svg.append(make('rect', {x: x - .75, y: 3, width: 1.5, height: 40, style: {fill: 'var(--hit)', 'pointer-events': 'none'}}));
        }
        left += partWidth;
      }
      if (index + 1 < clusters.length) {
        for (const dot of [3, 6.2, 9.4]) svg.append(make('rect', {x: left + dot, y: 24, width: 1.6, height: 2.4, style: {fill: 'var(--soft)'}}));
        left += gapWidth;
      }
    });
    const first = image.parts[0];
    const last = image.parts[image.parts.length - 1];
    byId('overview').replaceChildren(svg, make('div', {class: 'ends'}, make('span', {}, address(first.start)), make('span', {}, address(last.end))));
  }

  // ---- the bars ----

  function hitsIn(part) {
    return part.hits.filter(wanted);
  }

  function partElement(part, grow, cut) {
    const here = hitsIn(part);
    const label = [`${titleOf(part.object)} ${part.protection}`, `${address(part.start)} to ${address(part.end)}`, size(part.size),
      part.sealed ? 'sealed' : 'not sealed'];
    if (here.length) label.push(many(here.length, 'call', 'calls'));
    const element = make('button', {type: 'button', class: 'part ' + kindOf(part) + (cut ? ' cut' : ''), tabindex: -1,
      'aria-label': label.join(', '), title: label.join('\n'), style: {'flex-grow': grow}, onclick: () => select(part)});
    part.element = element;
    const percent = (value) => (100 * Math.max(0, Math.min(1, (value - part.start) / part.size))).toFixed(3) + '%';
    const names = part.sections.length ? part.sections : [{name: part.protection, start: part.start, end: part.end}];
    for (const section of names) {
      const start = Math.max(section.start, part.start);
      const end = Math.min(section.end, part.end);
      element.append(make('span', {class: 'section', 'aria-hidden': 'true',
        style: {left: percent(start), width: (100 * (end - start) / part.size).toFixed(3) + '%'}},
      make('b', {class: section.name.length < 8 ? 'short' : ''}, section.name)));
    }
    const most = 300;  // marks in one part
    const ranges = new Set();
    const places = new Set();
    for (const hit of here) {
      const range = hit.start + '-' + hit.end;
      if (!ranges.has(range) && hit.end > hit.start && ranges.size < most) {
        ranges.add(range);
        const start = Math.max(hit.start, part.start);
        const end = Math.min(hit.end, part.end);
        element.append(make('i', {class: 'extent', style: {left: percent(start), width: (100 * (end - start) / part.size).toFixed(3) + '%'}}));
      }
      if (places.size > 24) element.classList.add('many');
      const place = percent(hit.at);
      if (!places.has(place) && places.size < most) {
        places.add(place);
        element.append(make('i', {class: 'hit', style: {left: place}}));
      }
    }
    return element;
  }

  function barElement(object) {
    const bar = make('div', {class: 'bar', role: 'group', 'aria-label': titleOf(object)});
    let before = null;
    for (const part of object.parts) {
      const others = object.size - part.size;
      const cut = others > 0 && part.size > 12 * others;
      if (before && part.start > before.end)
        bar.append(make('span', {class: 'hole', style: {'flex-grow': Math.min(part.start - before.end, object.size / 8)}}));
      bar.append(partElement(part, cut ? 12 * others : part.size, cut));
      before = part;
    }
    return bar;
  }

  function drawMap(image) {
    const map = byId('map');
    const isReport = data.kind === 'report';
    map.replaceChildren(make('div', {class: 'head', 'aria-hidden': 'true'}, make('span', {}, 'object'),
      make('span', {class: 'n'}, 'size'), make('span', {class: 'n'}, 'sealed'), make('span', {class: 'n'}, isReport ? 'calls' : '')));
    let end = 0;
    for (const object of image.objects) {
      const gap = object.start - end;
      if (end && gap > 0)
        map.append(make('div', {class: 'gap ' + (gap >= 2 ** 30 ? 'large' : 'small')}, size(gap) + (gap >= 2 ** 30 ? ' not mapped' : '')));
      end = object.end;
      const count = object.parts.reduce((sum, part) => sum + hitsIn(part).length, 0);
      map.append(make('div', {class: 'object'},
        make('div', {class: 'name', title: object.name || 'anonymous'}, titleOf(object), make('span', {class: 'at'}, address(object.start))),
        make('div', {class: 'n'}, size(object.size)),
        make('div', {class: 'n' + (object.sealed ? '' : ' zero')}, object.sealed === 0 ? '–' : object.sealed === object.size ? 'all' : size(object.sealed)),
        make('div', {class: 'n hits'}, count ? count.toLocaleString('en') : ''),
        barElement(object)));
    }
    if (image.cut) map.append(make('p', {class: 'note'}, 'The events file does not contain all mappings.'));
    if (image.parts.length) {
      const again = selected && image.parts.includes(selected) ? selected : null;
      const most = image.parts.reduce((one, other) => hitsIn(other).length > hitsIn(one).length ? other : one);
      const first = again || (hitsIn(most).length ? most : image.parts.find((part) => part.sealed) || image.parts[0]);
      first.element.tabIndex = 0;
      if (again) again.element.setAttribute('aria-pressed', 'true');
      if (!again) selected = null;
      if (!again && matchMedia('(min-width: 64rem)').matches) select(first);
    }
    if (!selected) byId('detail').hidden = true;
  }

  // ---- what is selected ----

  function select(part, scroll) {
    if (selected && selected.element) selected.element.setAttribute('aria-pressed', 'false');
    selected = part;
    part.element.setAttribute('aria-pressed', 'true');
    for (const one of byId('map').querySelectorAll('.part[tabindex="0"]')) one.tabIndex = -1;
    part.element.tabIndex = 0;
    if (scroll) {
      part.element.focus({preventScroll: true});
      part.element.scrollIntoView({block: 'center'});
    }
    drawDetail(part);
  }

  function drawDetail(part) {
    const image = data.images[shown.image];
    const rights = ['r', 'w', 'x'].map((letter, index) => part.protection[index] === letter ? ['read', 'write', 'execute'][index] : '');
    const list = make('dl');
    const add = (name, ...content) => list.append(make('dt', {}, name), make('dd', {}, ...content));
    const code = (text) => make('code', {}, text);
    add('addresses', code(`${address(part.start)}–${address(part.end)}`));
    add('size', size(part.size));
    add('protection', code(part.protection), ' ' + (rights.filter(Boolean).join(', ') || 'no access'));
    add('state', part.sealed ? 'sealed' : 'not sealed');
    if (part.object.name.startsWith('/')) add('file', code(part.object.name), ' from ', code('0x' + part.offset));
    if (part.sections.length) {
      const text = [];
      part.sections.forEach((one) => text.push(code(one.name), ' '));
      add('sections', ...text);
    }
    const content = [make('button', {type: 'button', class: 'close', 'aria-label': 'Close', onclick: unselect}, '×'),
      make('h3', {}, titleOf(part.object)), list];
    const here = hitsIn(part);
    if (here.length) {
      const groups = new Map();
      for (const hit of here) groups.set(hit.finding, (groups.get(hit.finding) || 0) + 1);
      const items = [...groups].sort((one, other) => other[1] - one[1]).slice(0, 20).map(([index, count]) => {
        const finding = data.findings[index];
        return make('li', {}, make('span', {class: 'count'}, `${count.toLocaleString('en')}×`), ' ', code(finding.call), ...(finding.section ? [' on ', code(finding.section)] : []), ' from ', code(finding.site));
      });
      content.push(make('h4', {}, 'Calls that would change it'), make('ul', {}, ...items));
    }
    const detail = byId('detail');
    detail.replaceChildren(...content);
    detail.hidden = false;
    detail.scrollTop = 0;
  }

  function unselect() {
    if (!selected) return;
    selected.element.setAttribute('aria-pressed', 'false');
    if (byId('detail').contains(document.activeElement)) selected.element.focus();
    byId('detail').hidden = true;
    selected = null;
  }

  function onKey(event) {
    if (event.key === 'Escape') return unselect();
    const parts = [...byId('map').querySelectorAll('.part')];
    const at = parts.indexOf(document.activeElement);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return undefined;
    const bars = [...byId('map').querySelectorAll('.bar')];
    const bar = bars.indexOf(parts[at].parentElement);
    // Up and down: to what lies nearest in the next bar.
    const nearest = (other) => {
      if (!other) return null;
      const middle = (element) => element.getBoundingClientRect().left + element.getBoundingClientRect().width / 2;
      const x = middle(parts[at]);
      return [...other.querySelectorAll('.part')].reduce((best, one) => Math.abs(middle(one) - x) < Math.abs(middle(best) - x) ? one : best);
    };
    const next = {ArrowLeft: () => parts[at - 1], ArrowRight: () => parts[at + 1], ArrowUp: () => nearest(bars[bar - 1]),
      ArrowDown: () => nearest(bars[bar + 1]), Home: () => parts[0], End: () => parts[parts.length - 1]}[event.key];
    const element = next && next();
    if (!next) return undefined;
    event.preventDefault();
    if (!element) return undefined;
    element.focus({preventScroll: true});
    element.scrollIntoView({block: 'nearest'});
    return select(data.images[shown.image].parts.find((part) => part.element === element));
  }

  // ---- when, and by which program ----

  // Children follow their parents, as far as these are known.
  function inTreeOrder(images) {
    const order = [];
    const first = (image) => image.hits.length ? image.hits[0].time : 0;
    const parentOf = (image) => images.find((one) => one !== image && image.tree && one.tree === image.tree && one.host === image.host &&
      one.pid === image.parent && first(one) <= first(image));
    const visit = (image, depth) => {
      if (order.some((one) => one.image === image)) return;
      order.push({image, depth});
      images.filter((one) => parentOf(one) === image).forEach((child) => visit(child, depth + 1));
    };
    images.filter((image) => !parentOf(image)).forEach((image) => visit(image, 0));
    images.forEach((image) => visit(image, 0));
    return order;
  }

  function drawLanes() {
    const times = hits.map((hit) => hit.time);
    if (!times.length) return;
    const start = times.reduce((one, other) => Math.min(one, other));
    const end = Math.max(times.reduce((one, other) => Math.max(one, other)), start + 1);
    const bins = 300;
    const counts = data.images.map(() => new Map());
    for (const hit of hits) {
      if (!wanted(hit)) continue;
      const bin = Math.min(bins - 1, Math.floor((hit.time - start) / (end - start) * bins));
      counts[hit.image].set(bin, (counts[hit.image].get(bin) || 0) + 1);
    }
    const tallest = Math.max(1, ...counts.map((one) => Math.max(0, ...one.values())));
    const lanes = [];
    const order = inTreeOrder(data.images).filter(({image}) => counts[image.index].size);
    const most = 40;
    for (const {image, depth} of order.slice(0, most)) {
      const total = [...counts[image.index].values()].reduce((sum, one) => sum + one, 0);
      const svg = make('svg', {viewBox: `0 0 ${bins} 24`, preserveAspectRatio: 'none', role: 'img', 'aria-label': many(total, 'call', 'calls')});
      svg.append(make('rect', {x: 0, y: 23.2, width: bins, height: .8, style: {fill: 'var(--line)'}}));
      for (const [bin, count] of counts[image.index]) {
        const height = 8 + 14 * Math.sqrt(count / tallest);
        svg.append(make('rect', {x: bin, y: 23.5 - height, width: 1, height, style: {fill: 'var(--hit)'}},
          make('title', {}, `${many(count, 'call', 'calls')}, ${new Date(start + bin / bins * (end - start)).toISOString().slice(11, 23)}`)));
      }
      lanes.push(make('div', {class: 'lane'},
        make('button', {type: 'button', 'aria-pressed': image.index === shown.image, style: {'padding-left': depth * 1.1 + 'rem'},
          title: image.program, onclick: () => show({image: image.index})},
        make('span', {}, (depth ? '└ ' : '') + base(image.program)),
        make('small', {}, image.pid + (hosts.length > 1 ? ` on ${image.host || '?'}` : ''))),
        make('span', {class: 'n'}, total.toLocaleString('en')), svg));
    }
    const axis = make('div', {class: 'axis', 'aria-hidden': 'true'});
    const span = end - start;
    const clock = (time) => new Date(time).toISOString().slice(11, span < 10000 ? 23 : 19);
    axis.append(make('span', {style: {left: 0}}, clock(start)));
    const unit = [1, 1000, 60000, 3600000, 86400000].filter((one) => one <= span).pop() || 1;
    const step = unit * ([.1, .2, .5, 1, 2, 5, 10, 20, 50, 100, 200, 500].find((one) => span / (unit * one) <= 5) || 1000);
    const names = {1: 'ms', 1000: 's', 60000: 'min', 3600000: 'h', 86400000: 'd'};
    for (let time = step; time < span; time += step) {
      if (time / span > .2 && time / span < .86) axis.append(make('span', {style: {left: 100 * time / span + '%'}}, `+${+(time / unit).toFixed(1)} ${names[unit]}`));
    }
    axis.append(make('span', {class: 'end', style: {left: '100%'}}, clock(end)));
    const notes = [];
    if (order.length > most) notes.push(make('p', {class: 'note'}, `${many(order.length - most, 'more program', 'more programs')} with calls.`));
    if (hits.length < data.events) notes.push(make('p', {class: 'note'}, `Shown are ${hits.length.toLocaleString('en')} of ${data.events.toLocaleString('en')} calls; the table has all.`));
    byId('lanes').replaceChildren(...lanes, axis, ...notes);
    byId('timeline').hidden = false;
  }

  // ---- filters ----

  function filter(label, key, values, name) {
    const choice = make('select', {onchange: () => show({[key]: choice.value})}, make('option', {value: ''}, 'all'));
    for (const value of values) choice.append(make('option', {value}, name(value)));
    return make('label', {}, label, choice);
  }

  function drawFilters() {
    const count = (matches) => data.findings.reduce((sum, one) => sum + (matches(one) ? one.count : 0), 0);
    const programs = [...new Set(data.findings.map((one) => one.program))];
    const calls = [...new Set(data.findings.map((one) => one.call))];
    const form = byId('filters');
    if (hosts.length > 1) form.append(filter('host', 'host', hosts, (host) => host || 'not known'));
    if (programs.length > 1) form.append(filter('program', 'program', programs, (one) => `${base(one)} (${count((finding) => finding.program === one)})`));
    if (calls.length > 1) form.append(filter('call', 'call', calls, (one) => `${one} (${count((finding) => finding.call === one)})`));
    form.hidden = form.children.length === 0;
    form.addEventListener('submit', (event) => event.preventDefault());
  }

  function drawImages() {
    const choice = byId('image');
    const fits = (image) => (!shown.program || image.program === shown.program) && (!shown.host || image.host === shown.host);
    const images = data.images.filter(fits);
    choice.replaceChildren(...images.map((image) => make('option', {value: image.index}, imageName(image))));
    choice.value = shown.image;
    choice.disabled = images.length < 2;
    choice.parentElement.classList.toggle('alone', images.length < 2);
  }

  function show(change) {
    Object.assign(shown, change);
    const matching = (image) => image.hits.filter(wanted).length;
    if (!('image' in change) && data.kind === 'report') {
      const best = data.images.reduce((one, other) => matching(other) > matching(one) ? other : one);
      if (!matching(data.images[shown.image])) shown.image = best.index;
    }
    drawImages();
    const image = data.images[shown.image];
    if (image.parts.length) drawOverview(image);
    drawMap(image);
    if (data.kind !== 'report') return;
    drawLanes();
    const rows = [...byId('findings').querySelectorAll('tbody tr')];
    data.findings.forEach((finding, index) => {
      rows[index].hidden = (shown.program && finding.program !== shown.program) || (shown.call && finding.call !== shown.call) ||
        (shown.host && !finding.hosts.includes(shown.host));
    });
  }

  function addCopy() {
    const text = byId('policy-text');
    if (!text.textContent.trim()) {
      byId('policy').hidden = true;
      return;
    }
    const button = make('button', {type: 'button', class: 'plain'}, 'Copy');
    button.addEventListener('click', async () => {
      const range = document.createRange();
      range.selectNodeContents(text);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = 'Copied';
      } catch (error) {
        button.textContent = document.execCommand('copy') ? 'Copied' : 'Selected';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    text.parentElement.append(button);
  }

  if (data.kind === 'report') {
    drawFilters();
    addCopy();
  }
  if (!data.images.length) {
    byId('space').hidden = true;
    return;
  }
  byId('picture').hidden = false;
  byId('image').addEventListener('change', () => show({image: Number(byId('image').value)}));
  document.addEventListener('keydown', onKey);
  show({});
})();
