import { element, setAttribute } from "../../shared/dom.js";

/**
 * Lets people read a chart bucket by bucket: with the pointer or a finger, with the arrow keys, and with a screen reader, to
 * which it is a slider along the time.
 */
export class ChartReader {
    element;
    #readOut = element("div", { class: "chart-readout", "aria-hidden": "true", hidden: true });
    #slider;
    #onMove;
    #count = 0;
    #index = null;
    #describe = () => "";
    #isFocused = false;
    #plot;

    /** @param {(index: number | null) => void} onMove  called with the bucket that is read */
    constructor(label, onMove) {
        this.#onMove = onMove;
        this.#slider = element("div", {
            class: "chart-slider", role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0,
            onpointermove: (event) => this.#moveTo(this.#indexAt(event)),
            onpointerdown: (event) => this.#moveTo(this.#indexAt(event)),
            onpointerleave: () => !this.#isFocused && this.#moveTo(null),
            onfocus: () => this.#focus(),
            onblur: () => this.#blur(),
            onkeydown: (event) => this.#press(event),
        });
        this.element = element("div", { class: "chart-reader" }, this.#slider, this.#readOut);
    }

    /**
     * @param describe  what a bucket says: `{ sentence, content }` of its index; the sentence is for screen readers
     */
    update({ plot, count, describe }) {
        this.#plot = plot;
        this.#count = count;
        this.#describe = describe;
        const style = this.#slider.style;
        style.setProperty("left", `${plot.left}px`);
        style.setProperty("top", `${plot.top}px`);
        style.setProperty("width", `${plot.right - plot.left}px`);
        style.setProperty("height", `${plot.bottom - plot.top}px`);
        setAttribute(this.#slider, "aria-valuemax", Math.max(0, count - 1));
        if (this.#index !== null && this.#index >= count) this.#index = null;
        this.#show();
    }

    #indexAt(event) {
        const { left, width } = this.#slider.getBoundingClientRect();
        const index = Math.floor(((event.clientX - left) / width) * this.#count);
        return Math.min(this.#count - 1, Math.max(0, index));
    }

    #focus() {
        this.#isFocused = true;
        if (this.#index === null) this.#moveTo(this.#count - 1);
    }

    #blur() {
        this.#isFocused = false;
        this.#moveTo(null);
    }

    #press(event) {
        const index = this.#index ?? this.#count - 1;
        const targets = {
            ArrowLeft: index - 1, ArrowDown: index - 1, ArrowRight: index + 1, ArrowUp: index + 1,
            PageDown: index - 6, PageUp: index + 6, Home: 0, End: this.#count - 1,
        };
        if (!(event.key in targets)) return;
        event.preventDefault();
        this.#moveTo(Math.min(this.#count - 1, Math.max(0, targets[event.key])));
    }

    #moveTo(index) {
        if (index === this.#index || this.#count === 0) return;
        this.#index = index;
        this.#show();
    }

    #show() {
        const index = this.#index;
        const spoken = index ?? this.#count - 1;
        setAttribute(this.#slider, "aria-valuenow", Math.max(0, spoken));
        setAttribute(this.#slider, "aria-valuetext", this.#count > 0 ? this.#describe(spoken).sentence : "No data");
        this.#readOut.hidden = index === null;
        if (index !== null) {
            this.#readOut.replaceChildren(...this.#describe(index).content);
            this.#place(index);
        }
        this.#onMove(index);
    }

    /** Beside the bucket, on the side that has room for it. */
    #place(index) {
        const { left, right, top } = this.#plot;
        const x = this.#plot.x(index);
        const isBehindMiddle = x > (left + right) / 2;
        const width = this.#readOut.offsetWidth;
        const wanted = isBehindMiddle ? x - width - 14 : x + 14;
        this.#readOut.style.setProperty("left", `${Math.max(0, wanted)}px`);
        this.#readOut.style.setProperty("top", `${top}px`);
    }
}
