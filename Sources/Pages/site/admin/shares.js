import { element } from "../shared/dom.js";
import { formatNumber, formatPercent } from "../shared/format.js";

/** How a whole divides: a bar in parts, and the parts in words. */
export class Shares {
    #bar = element("div", { class: "shares-bar", "aria-hidden": "true" });
    #list = element("ul", { class: "shares-list" });
    element = element("div", { class: "shares" }, this.#bar, this.#list);

    /** @param {{label: string, className: string, value: number}[]} parts */
    update(parts) {
        const whole = parts.reduce((sum, { value }) => sum + value, 0);
        this.#bar.replaceChildren(...parts.filter(({ value }) => value > 0).map(({ className, value }) => {
            const part = element("span", { class: className });
            part.style.setProperty("flex-grow", value);
            return part;
        }));
        this.#list.replaceChildren(...parts.map(({ label, className, value }) =>
            element("li", {},
                element("span", { class: `chart-swatch is-bar ${className}` }),
                element("span", {}, label),
                element("strong", {}, formatNumber(value)),
                whole > 0 && element("span", { class: "shares-percent" }, formatPercent(value / whole)))));
    }
}
