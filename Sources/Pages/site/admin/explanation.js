import { element } from "../shared/dom.js";

let definitions;
let nextNumber = 0;

/**
 * A button that explains what a number is: under the pointer, with focus, or when it is touched.
 *
 * @param {string} label  what the number is called
 * @param {[string, string]} place  the object and the field that hold it: `["SystemMetrics", "activeUsers"]`
 */
export function explanation(label, [object, field]) {
    const holder = element("span", { class: "explanation" });
    definitions ??= readDefinitions();
    definitions.then(
        (all) => holder.append(...explainer(label, all[object][field])),
        // Without the connection there are no new numbers to explain either.
        () => (definitions = undefined));
    return holder;
}

/** The definitions of the numbers, by object and field: what docs/metrics.md says. */
async function readDefinitions() {
    const response = await fetch(new URL("assets/definitions.json", location.href));
    return response.json();
}

function explainer(label, sentence) {
    const id = `explanation-${nextNumber++}`;
    const tooltip = element("span", { id, class: "tooltip", role: "tooltip", popover: "manual" }, `${sentence}.`);
    const button = element("button", {
        type: "button", class: "explain", "aria-label": `What is “${label}”?`, "aria-describedby": id,
        onpointerenter: (event) => event.pointerType === "mouse" && show(),
        onpointerleave: (event) => event.pointerType === "mouse" && document.activeElement !== button && hide(),
        onfocus: () => show(),
        onblur: () => hide(),
        // Safari does not focus buttons that are clicked.
        onclick: () => show(),
        onkeydown: (event) => event.key === "Escape" && hide(),
    }, "?");

    function show() {
        if (!tooltip.matches(":popover-open")) tooltip.showPopover();
        const { left, top, bottom, width } = button.getBoundingClientRect();
        const wanted = left + width / 2 - tooltip.offsetWidth / 2;
        const rightmost = document.documentElement.clientWidth - tooltip.offsetWidth - 8;
        tooltip.style.setProperty("left", `${Math.max(8, Math.min(rightmost, wanted))}px`);
        const isAbove = bottom + tooltip.offsetHeight + 8 > innerHeight;
        tooltip.style.setProperty("top", `${isAbove ? top - tooltip.offsetHeight - 6 : bottom + 6}px`);
        addEventListener("scroll", hide, { capture: true, once: true });
        addEventListener("pointerdown", hide, { capture: true, once: true });
    }

    function hide() {
        if (tooltip.matches(":popover-open")) tooltip.hidePopover();
    }

    return [button, tooltip];
}
