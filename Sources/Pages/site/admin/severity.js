import { element } from "../shared/dom.js";

/** From the gravest on. */
export const severities = [
    { value: "critical", label: "Critical" },
    { value: "high", label: "High" },
    { value: "medium", label: "Medium" },
    { value: "low", label: "Low" },
];

/** A severity as a word with its colour. */
export function severityLabel(severity) {
    const { label } = severities.find(({ value }) => value === severity);
    return element("span", { class: `severity is-${severity}` }, label);
}
