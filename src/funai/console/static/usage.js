// <usage-chart>: draws the table that it holds. Without JavaScript the table is what one sees.
//
// The first column's cells carry seconds since the epoch in data-at, the others their number in data-v (none: not measured).

import uPlot from './vendor/uPlot.esm.js';

const HEIGHT = 180;
const COLOURS = ['--link', '--bad'];
const UNITS = {
  n: (v) => `${v}`,
  ms: (v) => `${v} ms`,
  percent: (v) => `${v} %`,
  bytes: (v) => {
    const step = v >= 2 ** 30 ? 3 : v >= 2 ** 20 ? 2 : v >= 2 ** 10 ? 1 : 0;
    return `${+(v / 2 ** (10 * step)).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB'][step]}`;
  },
};

const DAY = 86400;
/** Byte axes have marks at powers of two, so that their labels are whole. */
const STEPS = { bytes: Array.from({ length: 50 }, (_, i) => 2 ** i) };

/** A moment as the table shows it: UTC. */
const shown = (at) => new Date(at * 1000).toISOString().slice(5, 16).replace('T', ' ');

/** An axis's marks: the time of day, and the day where it begins or where marks are days apart. */
function moments(_, marks) {
  const days = marks.length > 1 && marks[1] - marks[0] >= DAY;
  return marks.map((at) => (days || at % DAY === 0 ? shown(at).slice(0, 5) : shown(at).slice(6)));
}

/** The columns of a table as uPlot takes them: moments first, null where nothing was measured. */
export function columns(table) {
  const rows = [...table.tBodies[0].rows];
  const [time, ...names] = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const number = (cell) => (cell.dataset.v === undefined ? null : Number(cell.dataset.v));
  const data = [rows.map((row) => Number(row.cells[0].dataset.at))];
  names.forEach((_, i) => data.push(rows.map((row) => number(row.cells[i + 1]))));
  return { time, names, data };
}

class UsageChart extends HTMLElement {
  #dark = matchMedia('(prefers-color-scheme: dark)');
  #draw = () => this.#show();
  #wide = new ResizeObserver(() => this.#chart?.setSize({ width: this.clientWidth, height: HEIGHT }));
  #chart;

  connectedCallback() {
    this.#show();
    this.#wide.observe(this);
    this.#dark.addEventListener('change', this.#draw);
  }

  disconnectedCallback() {
    this.#wide.disconnect();
    this.#dark.removeEventListener('change', this.#draw);
    this.#chart?.destroy();
  }

  /** A colour of the style sheet as a canvas understands it. */
  #colour(name) {
    this.style.color = `var(${name})`;
    const found = getComputedStyle(this).color;
    this.style.color = '';
    return found;
  }

  #show() {
    this.#chart?.destroy();
    const { time, names, data } = columns(this.querySelector('table'));
    const unit = UNITS[this.dataset.unit] ?? UNITS.n;
    const [text, line] = [this.#colour('--fine'), this.#colour('--line')];
    const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const series = names.map((label, i) => ({
      label, stroke: this.#colour(COLOURS[i % COLOURS.length]), width: 2, value: (_, v) => (v === null ? '–' : unit(v)),
    }));
    const options = {
      width: this.clientWidth, height: HEIGHT,
      scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1)] } },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), 'Etc/UTC'),
      axes: [
        { ...axis, values: moments },
        { ...axis, size: 80, incrs: STEPS[this.dataset.unit], values: (_, marks) => marks.map(unit) },
      ],
      series: [
        { label: time, value: (_, at) => (at === null ? '–' : shown(at)) },
        ...series,
      ],
    };
    this.#chart = new uPlot(options, data);
    this.#chart.root.querySelector('canvas').setAttribute('aria-hidden', 'true');
    this.prepend(this.#chart.root);
  }
}

customElements.define('usage-chart', UsageChart);
