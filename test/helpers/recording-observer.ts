import type {
  Alarm,
  AlarmName,
  AlarmSubject,
  KmeEvent,
  Observer,
} from '../../src/ports/observer.ts'

/** Keeps what it is told, for tests to look at. */
export class RecordingObserver implements Observer {
  readonly events: KmeEvent[] = []
  readonly alarms: Alarm[] = []
  readonly cleared: (AlarmSubject & { readonly name: AlarmName })[] = []

  event(event: KmeEvent): void {
    this.events.push(event)
  }

  alarm(alarm: Alarm): void {
    this.alarms.push(alarm)
  }

  clear(name: AlarmName, subject: AlarmSubject): void {
    this.cleared.push({ name, ...subject })
  }

  names(): readonly AlarmName[] {
    return this.alarms.map(({ name }) => name)
  }
}
