import { BadRequestException, Injectable } from '@nestjs/common';
import { DateTime } from 'luxon';

import { DatabaseService } from '../database/database.service.js';
import type { SlotsQueryDto } from './dto/slots-query.dto.js';

const MOST_DAYS = 35;
const AT_ONCE = 5;

const LIST_PSYCHOLOGISTS = {
  name: 'list-psychologists',
  text: `SELECT s.id, s.timezone, p.full_name FROM psychologists s JOIN people p USING (id)
         ORDER BY p.full_name, s.id`,
};
const LIST_HOURS = {
  name: 'list-hours',
  text: 'SELECT psychologist_id, weekday, starts, ends FROM working_hours',
};
const LIST_DAYS_OFF = {
  name: 'list-days-off',
  text: 'SELECT psychologist_id, day::text FROM days_off WHERE day BETWEEN $1 AND $2',
};
const LIST_BOOKED = {
  name: 'list-booked',
  text: `SELECT psychologist_id, starts_at, ends_at FROM counselings
         WHERE status = 'pending' AND starts_at < $2 AND ends_at > $1`,
};

interface PsychologistRow {
  id: string;
  timezone: string;
  full_name: string;
}

interface HoursRow {
  psychologist_id: string;
  weekday: number;
  starts: string;
  ends: string;
}

interface DayOffRow {
  psychologist_id: string;
  day: string;
}

interface BookedRow {
  psychologist_id: string;
  starts_at: Date;
  ends_at: Date;
}

/** From and until, in milliseconds. */
type Range = [number, number];

@Injectable()
export class SlotsService {
  constructor(private readonly database: DatabaseService) {}

  /** List the times of some days that can be booked, and with whom. */
  async list(query: SlotsQueryDto) {
    const first = DateTime.fromISO(query.from, { zone: query.timezone });
    const last = DateTime.fromISO(query.to, { zone: query.timezone });
    const days = last.diff(first, 'days').days + 1;
    if (days < 1 || days > MOST_DAYS) {
      throw new BadRequestException([`to must be within ${MOST_DAYS} days of from`]);
    }
    const until = last.plus({ days: 2 });
    const [psychologists, hours, daysOff, booked] = await Promise.all([
      this.database.query<PsychologistRow>(LIST_PSYCHOLOGISTS),
      this.database.query<HoursRow>(LIST_HOURS),
      this.database.query<DayOffRow>({
        ...LIST_DAYS_OFF,
        values: [first.minus({ days: 1 }).toISODate(), until.toISODate()],
      }),
      this.database.query<BookedRow>({ ...LIST_BOOKED, values: [first.toJSDate(), until.toJSDate()] }),
    ]);
    const hoursOf = Map.groupBy(hours, (row) => row.psychologist_id);
    const offOf = Map.groupBy(daysOff, (row) => row.psychologist_id);
    const bookedOf = Map.groupBy(booked, (row) => row.psychologist_id);
    const bookable = psychologists.map((one) => ({
      shown: { id: one.id, fullName: one.full_name },
      working: working(
        one.timezone,
        hoursOf.get(one.id) ?? [],
        new Set(offOf.get(one.id)?.map((row) => row.day)),
        first,
        until,
      ),
      booked: (bookedOf.get(one.id) ?? []).map((row): Range => [row.starts_at.getTime(), row.ends_at.getTime()]),
    }));
    const now = Date.now();
    const length = query.duration * 60_000;
    const slots = [];
    for (let day = first; day <= last; day = day.plus({ days: 1 })) {
      const midnight = day.plus({ days: 1 });
      for (let start = day; start < midnight; start = start.plus({ minutes: query.step })) {
        const [from, to] = [start.toMillis(), start.toMillis() + length];
        if (from <= now) {
          continue;
        }
        const free = bookable.filter(
          (one) =>
            one.working.some(([since, end]) => since <= from && to <= end) && most(one.booked, from, to) < AT_ONCE,
        );
        if (free.length > 0) {
          const end = start.plus({ minutes: query.duration });
          slots.push({
            date: start.toISODate(),
            startTime: start.toFormat('HH:mm'),
            endDate: end.toISODate(),
            endTime: end.toFormat('HH:mm'),
            startsAt: new Date(from).toISOString(),
            endsAt: new Date(to).toISOString(),
            psychologists: free.map((one) => one.shown),
          });
        }
      }
    }
    return slots;
  }
}

/** When a psychologist works between two instants, as ranges. */
function working(zone: string, hours: HoursRow[], off: Set<string>, from: DateTime, until: DateTime): Range[] {
  const ranges: Range[] = [];
  for (let day = from.setZone(zone).startOf('day'); day < until; day = day.plus({ days: 1 })) {
    if (off.has(day.toISODate()!)) {
      continue;
    }
    for (const { weekday, starts, ends } of hours) {
      if (weekday === day.weekday) {
        ranges.push([at(day, starts), at(day, ends)]);
      }
    }
  }
  return ranges;
}

function at(day: DateTime, time: string): number {
  const [hour, minute] = time.split(':').map(Number);
  return day.set({ hour, minute }).toMillis();
}

/** The most that are booked at one instant of a range. */
function most(booked: Range[], from: number, to: number): number {
  const within = booked.filter(([start, end]) => start < to && end > from);
  const depths = within.map(([start]) => {
    const instant = Math.max(start, from);
    return within.filter(([since, until]) => since <= instant && instant < until).length;
  });
  return Math.max(0, ...depths);
}
