const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;

/** RFC 3339 as Go writes it. */
export const RFC_3339 = "2006-01-02T15:04:05Z07:00";

/** Parts of Go's reference time, longer ones first. A fraction counts only after seconds, as in Go. */
const PART =
  /January|Jan|Monday|Mon|2006|MST|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00|-0700|-07|002|01|02|03|04|05(?:[.,](?:0+|9+)(?!\d))?|06|15|PM|pm|_2|1|2|3|4|5(?:[.,](?:0+|9+)(?!\d))?/g;

/**
 * Formats a moment, in UTC, with a layout in Go's notation: the layout shows how the reference time `Mon Jan 2 15:04:05
 * MST 2006` would be written. What is no part of the reference time is copied.
 *
 * @param layout compiled once, called for each record
 */
export function goTimeFormatter(layout: string): (epochMs: number) => string {
  return (epochMs) => {
    const date = new Date(epochMs);
    return layout.replace(PART, (part) => formatPart(part, date));
  };
}

function formatPart(part: string, date: Date): string {
  const hour = date.getUTCHours();
  const hour12 = hour % 12 === 0 ? 12 : hour % 12;
  switch (part) {
    case "2006":
      return padded(date.getUTCFullYear(), 4);
    case "06":
      return padded(date.getUTCFullYear() % 100, 2);
    case "January":
      return MONTHS[date.getUTCMonth()] ?? "";
    case "Jan":
      return MONTHS[date.getUTCMonth()]?.slice(0, 3) ?? "";
    case "01":
      return padded(date.getUTCMonth() + 1, 2);
    case "1":
      return (date.getUTCMonth() + 1).toString();
    case "Monday":
      return DAYS[date.getUTCDay()] ?? "";
    case "Mon":
      return DAYS[date.getUTCDay()]?.slice(0, 3) ?? "";
    case "02":
      return padded(date.getUTCDate(), 2);
    case "_2":
      return date.getUTCDate().toString().padStart(2);
    case "2":
      return date.getUTCDate().toString();
    case "002":
      return padded(dayOfYear(date), 3);
    case "15":
      return padded(hour, 2);
    case "03":
      return padded(hour12, 2);
    case "3":
      return hour12.toString();
    case "04":
      return padded(date.getUTCMinutes(), 2);
    case "4":
      return date.getUTCMinutes().toString();
    case "PM":
      return hour < 12 ? "AM" : "PM";
    case "pm":
      return hour < 12 ? "am" : "pm";
    case "MST":
      return "UTC";
    default:
      return part.startsWith("05") || part.startsWith("5") ? secondsText(part, date) : zoneText(part);
  }
}

/** Nines leave zeros at the end out, and a fraction of nothing as a whole. */
function secondsText(part: string, date: Date): string {
  const [, seconds = "", separator = "", digits = ""] = /^(0?5)([.,]?)(\d*)$/.exec(part) ?? [];
  const whole = padded(date.getUTCSeconds(), seconds.length);
  if (digits === "") return whole;
  const fraction = padded(date.getUTCMilliseconds(), 3).padEnd(digits.length, "0").slice(0, digits.length);
  const shown = digits.startsWith("9") ? fraction.replace(/0+$/, "") : fraction;
  return shown === "" ? whole : `${whole}${separator}${shown}`;
}

/** All moments are in UTC. */
function zoneText(part: string): string {
  return part.startsWith("Z") ? "Z" : part.replace("-", "+").replaceAll(/\d/g, "0");
}

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getUTCFullYear(), 0, 1);
  return Math.floor((date.getTime() - start) / 86_400_000) + 1;
}

function padded(value: number, width: number): string {
  return value.toString().padStart(width, "0");
}
