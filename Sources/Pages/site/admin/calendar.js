/**
 * What hours and days are called. Hours are told in the reader's time zone; days begin at midnight UTC and are therefore named by
 * their date there.
 */
const times = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const hours = new Intl.DateTimeFormat(undefined, { hour: "numeric" });
const hoursWithDay = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" });
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const daysWithWeekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });

/**
 * A calendar has `unit`, `brief(bucket)` for axes, `full(bucket)`, `begin(moment)`: when the first of them began, and `note`: whose
 * hours or days they are.
 */
export const calendarOfHours = {
    unit: "Hour",
    // There are time zones in which an hour of UTC begins at half past.
    brief: ({ start }) => (new Date(start).getMinutes() === 0 ? hours : times).format(start),
    full: ({ start }) => `${hoursWithDay.format(start)} to ${times.format(start + 3_600_000)}`,
    begin: (moment) => hoursWithDay.format(moment),
    note: `Hours are in your time zone, ${new Intl.DateTimeFormat().resolvedOptions().timeZone}.`,
};

const calendarOfDays = {
    unit: "Day (UTC)",
    brief: ({ start }) => days.format(start),
    full: ({ start }) => daysWithWeekday.format(start),
    begin: (moment) => `${daysWithWeekday.format(moment)}, UTC`,
    note: "Days begin at midnight UTC.",
};

/** The calendar of the buckets of a timeframe. */
export function calendarOf(timeframe) {
    return timeframe === "day" ? calendarOfHours : calendarOfDays;
}

/** Nov 23, of a day that is meant in UTC. */
export const formatDayInUTC = (moment) => days.format(moment);
