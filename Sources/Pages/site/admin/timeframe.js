import { element } from "../shared/dom.js";

const choices = [
    { value: "day", label: "Day" },
    { value: "week", label: "Week" },
    { value: "month", label: "Month" },
];

/** How far back charts and numbers look: one choice for all sections. Event: `change`. */
export class Timeframe extends EventTarget {
    value = "day";

    choose(value) {
        if (value === this.value) return;
        this.value = value;
        this.dispatchEvent(new Event("change"));
    }
}

let nextGroup = 0;

/** A group of radio buttons that shows and changes a timeframe. */
export function timeframePicker(timeframe) {
    const group = `timeframe-${nextGroup++}`;
    const buttons = choices.map(({ value, label }) =>
        element("input", {
            type: "radio", name: group, id: `${group}-${value}`, value, class: "unseen",
            onchange: () => timeframe.choose(value),
        }));
    const show = () => buttons.forEach((button) => (button.checked = button.value === timeframe.value));
    timeframe.addEventListener("change", show);
    show();
    return element("fieldset", { class: "segments" },
        element("legend", { class: "unseen" }, "Timeframe"),
        buttons.flatMap((button, index) => [button, element("label", { for: button.id }, choices[index].label)]));
}
