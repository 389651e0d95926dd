import { element, typed } from "../shared/dom.js";
import { formatNumber } from "../shared/format.js";
import { calendarOfHours } from "./calendar.js";
import { card, failureNotice, sectionHeader } from "./card.js";
import { TimeChart } from "./charts/time-chart.js";
import { Counts } from "./counts.js";
import { openEvent } from "./event-dialog.js";
import { EventFilter } from "./event-filter.js";
import { EventTable } from "./event-table.js";
import { explanation } from "./explanation.js";
import { LevelView } from "./level.js";
import { LiveQueries } from "./live.js";
import { severities, severityLabel } from "./severity.js";

/** How many of the most frequent types are shown. */
const shownTypes = 6;

/** How tense the situation is, how many security events there are, and the events themselves as they come in. */
export class Security {
    element;
    #queries;
    #level = new LevelView();
    #failure = element("div", { class: "failure" });
    #severities = new Counts({
        label: ({ name }) => severityLabel(name),
        choose: ({ name }) => this.#filterBy({ severity: name }),
    });
    #types = new Counts({ label: ({ name }) => typed(name), choose: ({ name }) => this.#filterBy({ type: name }) });
    #hours = new TimeChart({
        title: "Events by hour",
        formatValue: formatNumber,
        series: [{ label: "Events", className: "series-2", shape: "bar", value: ({ count }) => count }],
    });
    #filter = new EventFilter((args) => this.#table.show(args));
    #table;
    #eventsCard;

    constructor({ client }) {
        this.#queries = new LiveQueries(client);
        this.#table = new EventTable({ client, open: (event) => openEvent(event, client) });
        this.#eventsCard = card("Events", { tools: [this.#table.stopButton] }, this.#filter.element, this.#table.element);
        const levelExplanation = explanation("Security level", ["SystemMetrics", "activeSecurityLevel"]);
        this.element = element("div", { class: "section" },
            sectionHeader("Security"),
            this.#failure,
            element("div", { class: "security-summary" },
                card("Level", { tools: [levelExplanation] }, this.#level.element),
                card("By severity", {}, this.#severities.element),
                card("Most frequent", {}, this.#types.element),
                card("Last 24 hours", { className: "is-wide" }, this.#hours.element)),
            this.#eventsCard);
    }

    show() {
        this.#queries.watch("stats", "security:getEventStats", {}, ({ value, error }) => this.#update(value, error));
        this.#table.show(this.#filter.arguments);
    }

    hide() {
        this.#queries.closeAll();
        this.#table.hide();
    }

    #update(stats, error) {
        this.#failure.replaceChildren(...(error ? [failureNotice(error)] : []));
        if (!stats) return;
        this.#level.update(stats.activeSecurityLevel);
        this.#severities.update(
            severities.map(({ value }) => ({ name: value, className: `is-${value}`, count: stats.bySeverity[value] })));
        this.#types.update(
            stats.byType.slice(0, shownTypes).map(({ type, count }) => ({ name: type, className: "is-type", count })));
        this.#filter.offer(stats.byType.map(({ type }) => type));
        this.#hours.update(stats.lastDay.map(({ hour, count }) => ({ start: hour, count })), calendarOfHours);
    }

    #filterBy(choice) {
        this.#filter.choose(choice);
        this.#eventsCard.scrollIntoView({ block: "start" });
    }
}
