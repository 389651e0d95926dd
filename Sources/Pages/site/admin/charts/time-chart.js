import { element, oncePerFrame, svg } from "../../shared/dom.js";
import { bars, dot, line, timeAxis, valueAxis } from "./drawing.js";
import { ChartReader } from "./reader.js";
import { labelledIndexes, roundTicks } from "./scale.js";

const height = 240;
const margin = { top: 12, right: 12, bottom: 28 };
/** Widths (px) of a character and of an axis label. */
const digitWidth = 7;
const labelRoom = 56;

/**
 * A chart of values over hours or days, with what they are as a table below it.
 *
 * A series is `{ label, className, shape: "bar" | "line" | "area", value: (bucket) => number | null }`.
 */
export class TimeChart {
    element;
    #title;
    #series;
    #formatValue;
    #wholeNumbers;
    #canvas = svg("svg", { class: "chart-canvas", height, "aria-hidden": "true", focusable: "false" });
    #marks = svg("g", { class: "chart-marks" });
    #reader;
    #frame;
    #empty = element("p", { class: "chart-empty" });
    #table = element("table", { class: "chart-table" });
    #data = { buckets: [], calendar: null };
    #plot;
    #draw = oncePerFrame(() => this.#redraw());

    constructor({ title, series, formatValue, wholeNumbers = true }) {
        this.#title = title;
        this.#series = series;
        this.#formatValue = formatValue;
        this.#wholeNumbers = wholeNumbers;
        this.#reader = new ChartReader(`${title}: read the chart`, (index) => this.#mark(index));
        this.#frame = element("div", { class: "chart-frame" }, this.#canvas, this.#reader.element, this.#empty);
        const scroller = { class: "table-scroller", tabindex: 0, role: "region", "aria-label": `${title} as a table` };
        this.element = element("div", { class: "chart" },
            series.length > 1 && this.#legend(),
            this.#frame,
            element("details", { class: "chart-data" },
                element("summary", {}, "Show as table", element("span", { class: "unseen" }, `: ${title}`)),
                element("div", scroller, this.#table)));
        new ResizeObserver(this.#draw).observe(this.#frame);
    }

    /** @param calendar  what the buckets are called, see `calendar.js` */
    update(buckets, calendar) {
        this.#data = { buckets, calendar };
        this.#empty.textContent = buckets.length === 0 ? "Nothing has been counted yet." : "";
        this.#reader.element.hidden = buckets.length === 0;
        this.#fillTable();
        this.#draw();
    }

    #legend() {
        return element("ul", { class: "chart-legend" },
            this.#series.map(({ label, className, shape }) =>
                element("li", {}, element("span", { class: `chart-swatch is-${shape} ${className}` }), label)));
    }

    #redraw() {
        const width = this.#frame.clientWidth;
        const { buckets, calendar } = this.#data;
        if (buckets.length === 0) return this.#canvas.replaceChildren();
        if (width === 0) return;
        const values = this.#series.map((series) => buckets.map(series.value));
        const ticks = roundTicks(Math.max(...values.flat().map((value) => value ?? 0)), { wholeNumbers: this.#wholeNumbers });
        const plot = this.#measure(width, buckets.length, ticks);
        this.#plot = { ...plot, values };

        const barSeries = this.#series.filter((series) => series.shape === "bar");
        const shapes = this.#series.map((series, index) =>
            series.shape === "bar"
                ? bars(plot, values[index], series.className, barSeries.indexOf(series), barSeries.length)
                : line(plot, values[index], series.className, { filled: series.shape === "area" }));
        const labels = buckets.map((bucket) => calendar.brief(bucket));
        this.#canvas.setAttribute("width", width);
        this.#canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
        this.#canvas.replaceChildren(
            ...valueAxis(plot, ticks, this.#formatValue),
            ...timeAxis(plot, labels, labelledIndexes(buckets.length, plot.right - plot.left, labelRoom)),
            ...shapes.flat(),
            this.#marks);
        this.#reader.update({ plot, count: buckets.length, describe: (index) => this.#describe(index) });
    }

    #measure(width, count, ticks) {
        const longest = Math.max(...ticks.map((tick) => this.#formatValue(tick).length));
        const left = 12 + longest * digitWidth;
        const right = width - margin.right;
        const bottom = height - margin.bottom;
        const bucketWidth = (right - left) / count;
        const highest = ticks.at(-1);
        return {
            left, right, bottom, bucketWidth, top: margin.top,
            x: (index) => left + (index + 0.5) * bucketWidth,
            y: (value) => bottom - (value / highest) * (bottom - margin.top),
        };
    }

    #describe(index) {
        const { buckets, calendar } = this.#data;
        const isRunning = index === buckets.length - 1;
        const name = calendar.full(buckets[index]) + (isRunning ? ", so far" : "");
        const values = this.#series.map((series) => [series, this.#textOf(series.value(buckets[index]))]);
        return {
            sentence: `${name}: ${values.map(([series, text]) => `${series.label} ${text}`).join(", ")}`,
            content: [
                element("strong", {}, name),
                ...values.map(([{ label, className, shape }, text]) =>
                    element("span", { class: "chart-reading" },
                        element("span", { class: `chart-swatch is-${shape} ${className}` }),
                        element("span", { class: "chart-reading-label" }, label),
                        element("span", { class: "chart-reading-value" }, text))),
            ],
        };
    }

    #mark(index) {
        if (index === null || !this.#plot) return this.#marks.replaceChildren();
        const { x, y, top, bottom, values } = this.#plot;
        const dots = this.#series.flatMap((series, number) => {
            const value = values[number][index];
            return series.shape === "bar" || value === null ? [] : [dot(x(index), y(value), series.className)];
        });
        this.#marks.replaceChildren(
            svg("line", { class: "chart-guide", x1: x(index), x2: x(index), y1: top, y2: bottom }), ...dots);
    }

    #fillTable() {
        const { buckets, calendar } = this.#data;
        const head = element("tr", {},
            element("th", { scope: "col" }, calendar.unit),
            this.#series.map(({ label }) => element("th", { scope: "col", class: "is-number" }, label)));
        const rows = buckets.map((bucket) =>
            element("tr", {},
                element("th", { scope: "row" }, calendar.full(bucket)),
                this.#series.map(({ value }) => element("td", { class: "is-number" }, this.#textOf(value(bucket))))));
        this.#table.replaceChildren(
            element("caption", { class: "unseen" }, this.#title),
            element("thead", {}, head),
            element("tbody", {}, rows.reverse()));
    }

    #textOf(value) {
        return value === null ? "none" : this.#formatValue(value);
    }
}
