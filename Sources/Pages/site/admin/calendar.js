/**
 * What hours and days are called. Hours are told in the reader's time zone; days begin at midnight UTC and are therefore named by
 * their date there.
 */
const hours = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const hoursWithDay = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" });
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const daysWithWeekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });

/** A calendar has `unit`, `brief(bucket)` for axes, `full(bucket)`, and `note`: whose hours or days they are. */
export const calendarOfHours = {
    unit: "Hour",
    brief: ({ start }) => hours.format(start),
    full: ({ start }) => `${hoursWithDay.format(start)} to ${hours.format(start + 3_600_000)}`,
    note: `Hours are in your time zone, ${new Intl.DateTimeFormat().resolvedOptions().timeZone}.`,
};

export const calendarOfDays = {
    unit: "Day (UTC)",
    brief: ({ start }) => days.format(start),
    full: ({ start }) => daysWithWeekday.format(start),
    note: "Days begin at midnight UTC.",
};

/** The calendar of the buckets of a timeframe. */
export function calendarOf(timeframe) {
    return timeframe === "day" ? calendarOfHours : calendarOfDays;
}

/** Nov 23, of a day that is meant in UTC. */
export const formatDayInUTC = (moment) => days.format(moment);
