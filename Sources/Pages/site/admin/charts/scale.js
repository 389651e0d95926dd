/** Round numbers from 0 up to at least `maximum`, about as many as asked for: where an axis has its gridlines. */
export function roundTicks(maximum, { count = 4, wholeNumbers = false } = {}) {
    const highest = maximum > 0 ? maximum : 1;
    const rough = highest / count;
    const magnitude = 10 ** Math.floor(Math.log10(rough));
    let step = [1, 2, 2.5, 5, 10].map((factor) => factor * magnitude).find((candidate) => candidate >= rough * 0.999);
    if (wholeNumbers) step = Math.max(1, Math.ceil(step));
    const ticks = [];
    for (let index = 0; ticks.length === 0 || ticks.at(-1) < highest; index += 1) ticks.push(index * step);
    return ticks;
}

/** Which of `count` labels to show so that each has `room` pixels: every n-th, counted from the last one. */
export function labelledIndexes(count, width, room) {
    const fitting = Math.max(1, Math.floor(width / room));
    const step = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15].find((candidate) => count / candidate <= fitting) ?? count;
    return Array.from({ length: count }, (_, index) => index).filter((index) => (count - 1 - index) % step === 0);
}
