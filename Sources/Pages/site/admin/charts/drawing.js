import { svg } from "../../shared/dom.js";

/**
 * The parts of a chart as SVG. `plot` says where things are, in pixels: `left`, `right`, `top`, `bottom`, `x(index)`: the middle
 * of a bucket, `y(value)`, `bucketWidth`.
 */

/** Horizontal lines with what they stand for. */
export function valueAxis(plot, ticks, format) {
    return ticks.map((tick) =>
        svg("g", { class: tick === 0 ? "chart-axis" : "chart-gridline" },
            svg("line", { x1: plot.left, x2: plot.right, y1: plot.y(tick), y2: plot.y(tick) }),
            svg("text", { x: plot.left - 8, y: plot.y(tick), dy: "0.32em", "text-anchor": "end" }, format(tick))));
}

/** What the buckets are called, below them. */
export function timeAxis(plot, labels, indexes) {
    return indexes.map((index) =>
        svg("text", { class: "chart-label", x: plot.x(index), y: plot.bottom + 18, "text-anchor": "middle" }, labels[index]));
}

/** One bar for each value; `slot` of `slots` when several stand side by side. The last one is still growing. */
export function bars(plot, values, className, slot = 0, slots = 1) {
    const room = Math.min(plot.bucketWidth * 0.72, 46 * slots);
    const width = Math.max(1, room / slots - (slots > 1 ? 1 : 0));
    return values.map((value, index) => {
        const height = plot.bottom - plot.y(value ?? 0);
        if (!value) return null;
        return svg("rect", {
            class: `chart-bar ${className}${index === values.length - 1 ? " is-running" : ""}`,
            x: plot.x(index) - room / 2 + (slot * room) / slots,
            y: plot.bottom - Math.max(height, 1),
            width,
            height: Math.max(height, 1),
            rx: Math.min(3, width / 4),
        });
    }).filter((bar) => bar !== null);
}

/** A line through the values; null leaves a gap. The way to the last value, which still changes, is dashed. */
export function line(plot, values, className, { filled = false } = {}) {
    const shapes = [];
    const last = values.length - 1;
    for (const run of runsOfValues(values)) {
        const points = run.map((index) => [plot.x(index), plot.y(values[index])]);
        if (filled && points.length > 1) shapes.push(areaBelow(plot, points, className));
        const settled = run.at(-1) === last ? points.slice(0, -1) : points;
        if (settled.length > 1) shapes.push(svg("path", { class: `chart-line ${className}`, d: pathThrough(settled) }));
        if (run.at(-1) === last && points.length > 1) {
            shapes.push(svg("path", { class: `chart-line is-running ${className}`, d: pathThrough(points.slice(-2)) }));
        }
        // A value without neighbours has no line to be seen by.
        if (points.length === 1) shapes.push(dot(points[0][0], points[0][1], className));
    }
    return shapes;
}

export function dot(x, y, className) {
    return svg("circle", { class: `chart-dot ${className}`, cx: x, cy: y, r: 4 });
}

function areaBelow(plot, points, className) {
    const closing = `L${points.at(-1)[0]},${plot.bottom}L${points[0][0]},${plot.bottom}Z`;
    return svg("path", { class: `chart-area ${className}`, d: pathThrough(points) + closing });
}

function pathThrough(points) {
    return points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
}

/** Stretches of indexes whose values are there. */
function runsOfValues(values) {
    const runs = [];
    values.forEach((value, index) => {
        if (value === null) return;
        if (index > 0 && values[index - 1] !== null) runs.at(-1).push(index);
        else runs.push([index]);
    });
    return runs;
}
