// Candles, with what is missing hatched and what the exchange does not have dotted.

import { createChart, CandlestickSeries, HistogramSeries } from "/vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { h } from "./dom.js";
import { get } from "./api.js";
import { intervalMs, minute, number, path, plural } from "./format.js";

const LIMIT = 1000;
const seconds = (text) => Date.parse(text) / 1000;

/** The page's colours as the canvas takes them. */
function colours() {
  const probe = h("span", { hidden: true });
  document.body.append(probe);
  const of = (name) => {
    probe.style.setProperty("color", `var(${name})`);
    return getComputedStyle(probe).color;
  };
  const found = Object.fromEntries(["card", "text", "muted", "line", "up", "down", "missing", "absent"].map((name) => [name, of(`--${name}`)]));
  probe.remove();
  return found;
}

const faint = (colour, alpha) => colour.replace(/^rgb\(([^)]+)\)$/, `rgba($1, ${alpha})`);

/** Draws holes behind the candles: hatched where klines are missing, dotted where there are none at the exchange. */
class Holes {
  constructor(palette) { this.palette = palette; this.ranges = []; }
  attached({ chart, requestUpdate }) { this.chart = chart; this.requestUpdate = requestUpdate; }
  set(ranges) { this.ranges = ranges; this.requestUpdate?.(); }
  updateAllViews() {}
  paneViews() { return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) }]; }
  draw(target) {
    const scale = this.chart.timeScale();
    const half = scale.options().barSpacing / 2;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      for (const range of this.ranges) {
        const [from, to] = [scale.timeToCoordinate(range.from), scale.timeToCoordinate(range.to)];
        if (from === null || to === null) continue;
        const [left, right] = [Math.max(0, from - half), Math.min(mediaSize.width, to + half)];
        if (right > left) this.paint(context, range, left, Math.max(right - left, 2), mediaSize.height);
      }
    });
  }
  paint(context, range, left, width, height) {
    const colour = range.missing ? this.palette.missing : this.palette.absent;
    context.save();
    context.beginPath();
    context.rect(left, 0, width, height);
    context.clip();
    context.fillStyle = faint(colour, 0.09);
    context.fillRect(left, 0, width, height);
    context.strokeStyle = context.fillStyle = faint(colour, 0.5);
    if (range.missing) {
      context.beginPath();
      for (let x = left - height; x < left + width; x += 9) { context.moveTo(x, height); context.lineTo(x + height, 0); }
      context.stroke();
    } else {
      for (let x = left + 4; x < left + width; x += 8) for (let y = 4; y < height; y += 8) context.fillRect(x, y, 1.5, 1.5);
    }
    const words = `${range.klines === null ? "" : `${number(range.klines)} `}${range.missing ? "missing" : "absent"}`;
    context.font = "600 11px system-ui, sans-serif";
    const wide = context.measureText(words).width;
    if (wide + 10 < width) {
      context.fillStyle = faint(this.palette.card, 0.9);
      context.fillRect(left + (width - wide) / 2 - 5, 6, wide + 10, 18);
      context.fillStyle = colour;
      context.fillText(words, left + (width - wide) / 2, 19);
    }
    context.restore();
  }
}

/** Makes the chart of a series. `go({ around })`, `go({ since })`, `go({ until })` or `go({})` choose what is shown. */
export function candles(series) {
  const box = h("div", { class: "chart", role: "img" });
  const says = h("p", { class: "chart-says", role: "status" });
  const step = intervalMs(series.interval);
  let chart, bars, volume, holes, shown;

  function make() {
    chart?.remove();
    const palette = colours();
    chart = createChart(box, {
      autoSize: true,
      layout: { background: { color: palette.card }, textColor: palette.muted, attributionLogo: false, fontFamily: "system-ui, sans-serif" },
      grid: { vertLines: { color: faint(palette.line, 0.5) }, horzLines: { color: faint(palette.line, 0.5) } },
      rightPriceScale: { borderColor: palette.line },
      timeScale: { borderColor: palette.line, timeVisible: step < 864e5, secondsVisible: step < 6e4 },
      crosshair: { mode: 0 },
    });
    volume = chart.addSeries(HistogramSeries, { color: faint(palette.muted, 0.35), priceFormat: { type: "volume" }, priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false });
    volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    bars = chart.addSeries(CandlestickSeries, {
      upColor: palette.card, downColor: palette.down, borderUpColor: palette.up, borderDownColor: palette.down, wickUpColor: palette.up, wickDownColor: palette.down,
      priceLineVisible: false,
    });
    bars.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0.22 } });
    holes = new Holes(palette);
    bars.attachPrimitive(holes);
  }

  function draw(data) {
    const taken = new Map(data.klines.map((kline) => [kline[0] / 1000, kline]));
    const times = new Set(taken.keys());
    const ranges = [];
    for (const [missing, list] of [[true, data.gaps], [false, data.absent]]) {
      for (const hole of list) {
        const [from, to] = [seconds(hole.since), seconds(hole.until)];
        let last = from;
        // Empty slots take their room on the axis, so that a hole looks as long as it is.
        for (let at = from; at < to; at += step / 1000) { if (!times.has(at)) times.add(at); last = at; }
        // Of a hole that goes on beyond what is shown the length is not known here.
        const whole = hole.since !== data.since && hole.until !== data.until;
        ranges.push({ from, to: last, klines: whole ? hole.klines : null, missing });
      }
    }
    const ordered = [...times].sort((a, b) => a - b);
    const prices = data.klines.flatMap((k) => [k[1], k[4]]);
    const digits = Math.min(8, Math.max(2, ...prices.slice(-50).map((p) => (p.split(".")[1] ?? "").replace(/0+$/, "").length)));
    bars.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
    bars.setData(ordered.map((time) => {
      const k = taken.get(time);
      return k ? { time, open: Number(k[1]), high: Number(k[2]), low: Number(k[3]), close: Number(k[4]) } : { time };
    }));
    volume.setData(ordered.map((time) => { const k = taken.get(time); return k ? { time, value: Number(k[5]) } : { time }; }));
    holes.set(ranges);
  }

  function tell(data) {
    const missing = data.gaps.reduce((sum, gap) => sum + gap.klines, 0);
    const absent = data.absent.reduce((sum, hole) => sum + hole.klines, 0);
    const words = `${minute(data.since)} to ${minute(data.until)} UTC: ${plural(data.klines.length, "candle")}` +
      (missing ? `, ${number(missing)} missing` : ", nothing missing") + (absent ? `, ${number(absent)} absent at the exchange` : "");
    says.textContent = words;
    box.setAttribute("aria-label", `Candlestick chart, ${words}`);
  }

  async function go({ focus, ...where }, keep = false) {
    const data = await get(`series/${path(series)}/klines`, { limit: LIMIT, ...where });
    const view = keep ? chart?.timeScale().getVisibleRange() : null;
    if (!chart) make();
    shown = data;
    draw(data);
    if (view) chart.timeScale().setVisibleRange(view);
    else if (focus) focusOn(seconds(focus.since), seconds(focus.until));
    else if (where.around) focusOn(Date.parse(where.around) / 1000, Date.parse(where.around) / 1000);
    else chart.timeScale().fitContent();
    tell(data);
  }

  /** A few hundred candles are too many to see one missing: come closer. */
  function focusOn(from, to) {
    const margin = Math.max((40 * step) / 1000, (to - from) / 4);
    const [first, last] = [seconds(shown.since), seconds(shown.until) - step / 1000];
    chart.timeScale().fitContent();
    chart.timeScale().setVisibleRange({ from: Math.max(first, from - margin), to: Math.min(last, to + margin) });
  }

  const repaint = () => { if (shown) { const view = chart.timeScale().getVisibleRange(); make(); draw(shown); if (view) chart.timeScale().setVisibleRange(view); } };
  return {
    element: h("div", {}, box, says),
    go,
    refresh: () => shown && go({ since: shown.since, limit: LIMIT }, true),
    earlier: () => shown && go({ until: shown.since }),
    later: () => shown && go({ since: shown.until }),
    shown: () => shown,
    repaint,
    remove: () => chart?.remove(),
  };
}
