import { element, setText, updateList } from "../shared/dom.js";
import { formatNumber } from "../shared/format.js";

/** Numbers one below the other, each with a bar. Choosing one filters by it. */
export class Counts {
    element;
    #label;
    #choose;

    /**
     * @param {(item) => Element} label  makes the name of an item
     * @param {(item) => void} choose  called when somebody presses an item
     */
    constructor({ label, choose }) {
        this.element = element("ul", { class: "counts" });
        this.#label = label;
        this.#choose = choose;
    }

    /** @param {{name: string, count: number, className: string}[]} items  `name` tells them apart */
    update(items) {
        const highest = Math.max(1, ...items.map(({ count }) => count));
        updateList(this.element, items, {
            key: ({ name }) => name,
            make: (item) => this.#make(item),
            update: (made, { count }) => {
                setText(made.querySelector(".count-value"), formatNumber(count));
                made.style.setProperty("--share", count / highest);
            },
        });
    }

    #make(item) {
        return element("li", {},
            element("button", { type: "button", class: `count ${item.className}`, onclick: () => this.#choose(item) },
                element("span", { class: "count-name" }, this.#label(item)),
                element("span", { class: "count-value" }),
                element("span", { class: "count-bar", "aria-hidden": "true" })));
    }
}
