import Domain
import Foundation

/// What the demo's people have done in the last weeks, as rows. The same seed and moment give the same history.
struct DemoHistory {
    private(set) var conversations: [DemoRows.Conversation] = []
    private(set) var messages: [DemoRows.Message] = []
    private(set) var activity: [DemoRows.Activity] = []
    private(set) var calls: [DemoRows.Calls] = []
    private(set) var events: [DemoRows.Event] = []

    private let calendar: DemoCalendar
    private let ids: [String: UserID]
    private var generator: SeededGenerator
    /// Each person's one sign-in.
    private var sessions: [String: String] = [:]
    /// How many days ago those clients came for the last time who come no more.
    private var departures: [String: Int] = [:]
    private let worker: String

    /// - Parameter ids: everybody's, by e-mail address.
    init(until now: Instant, of ids: [String: UserID], seed: UInt64) {
        calendar = DemoCalendar(now: now)
        self.ids = ids
        var generator = SeededGenerator(seed: seed)
        worker = generator.uuid(at: now).description
        for person in DemoPerson.everybody {
            sessions[person.email] = generator.uuid(at: calendar.arrival(of: person)).description
            if person.accountType == .client, person.days > 14, generator.chance(0.4) {
                departures[person.email] = Int.random(in: 5...(person.days - 5), using: &generator)
            }
        }
        self.generator = generator
        for (number, pair) in DemoPerson.conversations.enumerated() { talk(pair.therapist, pair.client, number: number) }
        for person in DemoPerson.everybody { visit(person) }
        visitNow()
        call()
        happen()
    }

    static func users(_ people: [DemoPerson], until now: Instant, passwordHash: String, seed: UInt64) -> [DemoRows.User] {
        let calendar = DemoCalendar(now: now)
        var generator = SeededGenerator(seed: seed)
        return people.map { person in
            let arrival = calendar.arrival(of: person)
            return DemoRows.User(
                id: generator.uuid(at: arrival).description, email: person.email, name: person.name, bio: person.bio,
                role: person.role.rawValue, accountType: person.accountType?.rawValue, passwordHash: passwordHash,
                createdAt: arrival.date)
        }
    }

    // MARK: Messages

    /// How long ago the latest talks were, in minutes: some conversations are fresh, others rest.
    private static let latest = [7, 4_000, 1_500, 48, 2_900, 700, 190, 5_600, 26, 340, 8_700, 95, 520, 11_000, 1_900, 260]

    /// A talk every few days, from the client's arrival on.
    private mutating func talk(_ therapist: DemoPerson, _ client: DemoPerson, number: Int) {
        let began = calendar.arrival(of: client) + .seconds(3600)
        let departure = departures[client.email, default: 0]
        let end = calendar.now - .seconds(60 * (Self.latest[number % Self.latest.count] + number) + 24 * 3600 * departure)
        let (low, high) = (min(ids[therapist.email]!, ids[client.email]!), max(ids[therapist.email]!, ids[client.email]!))
        let conversation = DemoRows.Conversation(
            id: generator.uuid(at: began).description, lowUserId: low.uuid.description, highUserId: high.uuid.description,
            createdAt: began.date)
        conversations.append(conversation)

        // The first client of all has written most.
        let distance = number == 0 ? 3 : Int.random(in: 4...12, using: &generator)
        let last = max(0, min(DemoTalk.all.count, (client.days - departure) / distance) - 1)
        let chosen = [DemoTalk.first] + DemoTalk.all.shuffled(using: &generator).prefix(last)
        var moment = began
        for (index, talk) in chosen.enumerated() {
            if index > 0 {
                moment = max(moment + .seconds(3600), calendar.moment(daysAgo: client.days - index * distance, &generator))
            }
            // Of the latest one the therapist has not seen the end yet.
            let isLatest = index == chosen.count - 1
            let lines = isLatest && talk.last!.isTherapists ? talk.dropLast() : talk[...]
            let pauses = lines.map { _ in Int64.random(in: 90...2400, using: &generator) }
            if isLatest, index > 0 { moment = max(moment, end - .seconds(pauses.dropFirst().reduce(0, +))) }
            for (line, pause) in zip(lines, [0] + pauses.dropFirst()) {
                moment = moment + .seconds(pause)
                guard moment < calendar.now - .seconds(60) else { break }
                let (sender, recipient) = line.isTherapists ? (therapist, client) : (client, therapist)
                say(line.text, sender, to: recipient, at: moment, in: conversation.id)
            }
        }
    }

    private mutating func say(
        _ text: String, _ sender: DemoPerson, to recipient: DemoPerson, at moment: Instant, in conversation: String
    ) {
        let senderID = ids[sender.email]!.uuid.description
        // Who answers has read what came before.
        for index in messages.indices.reversed().prefix(while: { messages[$0].conversationId == conversation })
        where messages[index].senderId != senderID { messages[index].read = true }
        messages.append(
            DemoRows.Message(
                id: generator.uuid(at: moment).description, conversationId: conversation, senderId: senderID,
                recipientId: ids[recipient.email]!.uuid.description, content: text,
                read: moment < calendar.now - .seconds(3 * 3600), createdAt: moment.date))
        note(sender, from: moment - .seconds(240), to: moment - .seconds(200))
        note(sender, from: moment - .seconds(40), to: moment)
    }

    // MARK: Visits

    /// Visits beside the messages: most days for therapists, some days of some weeks for clients.
    private mutating func visit(_ person: DemoPerson) {
        let isClient = person.accountType == .client
        let diligence = isClient ? Double.random(in: 0.1...0.7, using: &generator) : 0.92
        var isQuietWeek = false
        for daysAgo in stride(from: person.days, through: departures[person.email, default: 0], by: -1) {
            if (person.days - daysAgo) % 7 == 6 { isQuietWeek = isClient && generator.chance(0.3) }
            let probability = isQuietWeek ? 0 : diligence * (calendar.isWeekend(daysAgo: daysAgo) ? 0.4 : 1)
            for _ in 0..<2 where generator.chance(probability * 0.7) {
                let start = calendar.moment(daysAgo: daysAgo, &generator)
                let minutes = Int.random(in: 1...9, using: &generator) * Int.random(in: 1...4, using: &generator)
                for minute in stride(from: 0, through: minutes, by: 4) {
                    let seen = start + .seconds(60 * minute)
                    guard seen > calendar.arrival(of: person), seen < calendar.now - .seconds(60) else { continue }
                    note(person, from: seen, to: seen + .seconds(Int64.random(in: 5...50, using: &generator)))
                }
            }
        }
    }

    /// Somebody is always there.
    private mutating func visitNow() {
        let present = DemoPerson.everybody.filter { departures[$0.email] == nil }.shuffled(using: &generator).prefix(9)
        for minutesAgo in 1...24 {
            let seen = calendar.now - .seconds(60 * minutesAgo)
            note(present[minutesAgo % present.count], from: seen, to: seen + .seconds(20))
        }
    }

    private mutating func note(_ person: DemoPerson, from first: Instant, to last: Instant) {
        activity.append(
            DemoRows.Activity(
                workerId: worker, report: activity.count, sessionId: sessions[person.email]!,
                userId: ids[person.email]!.uuid.description, firstAt: first.date, lastAt: last.date))
    }

    // MARK: Calls

    private static let functions: [(name: String, share: Double, microseconds: Double)] = [
        ("messages:list", 0.3, 1_900), ("messages:listConversations", 0.27, 2_600), ("messages:markAsRead", 0.12, 3_400),
        ("messages:send", 0.09, 3_900), ("users:getProfile", 0.08, 900), ("auth:getCurrentUser", 0.08, 600),
        ("users:search", 0.05, 5_200), ("auth:signIn", 0.01, 61_000),
    ]

    /// Most calls take about as long as usual, and a few very much longer.
    private static let spread: [(share: Double, factor: Double)] = [
        (0.1, 0.62), (0.2, 0.79), (0.25, 1), (0.2, 1.3), (0.12, 1.8), (0.07, 2.7), (0.04, 4.4), (0.015, 8.5), (0.005, 19),
    ]

    /// Of the last 30 days, hour by hour; of the last two hours, every five minutes.
    private mutating func call() {
        for hoursAgo in stride(from: 30 * 24, to: 1, by: -1) {
            answer(until: calendar.now - .seconds(3600 * hoursAgo), seconds: 3600)
        }
        for step in stride(from: 23, through: 0, by: -1) { answer(until: calendar.now - .seconds(300 * step), seconds: 300) }
    }

    private mutating func answer(until moment: Instant, seconds: Double) {
        let business = calendar.business(at: moment) * Double.random(in: 0.75...1.25, using: &generator)
        // The busier, the slower.
        let slowness = 0.8 + 0.5 * business + Double.random(in: 0...0.25, using: &generator)
        let report = calls.count
        for function in Self.functions {
            let expected = 900 * business * function.share * seconds / 3600
            let counts = Self.spread.map { Int((expected * $0.share + Double.random(in: 0..<1, using: &generator)).rounded(.down)) }
            let durations = Self.spread.map { Self.toTwoDigits(function.microseconds * slowness * $0.factor) }
            let total = counts.reduce(0, +)
            guard total > 0 else { continue }
            calls.append(
                DemoRows.Calls(
                    workerId: worker, report: report, function: function.name, recordedAt: moment.date, calls: total,
                    failedCalls: generator.chance(0.01) ? 1 : 0,
                    microseconds: zip(durations, counts).map { $0 * $1 }.reduce(0, +),
                    durations: zip(durations, counts).filter { $1 > 0 }.map(\.0), counts: counts.filter { $0 > 0 }))
        }
    }

    /// As exactly as workers report.
    private static func toTwoDigits(_ microseconds: Double) -> Int {
        var unit = 1.0
        while microseconds / unit >= 100 { unit *= 10 }
        return Int((microseconds / unit).rounded() * unit)
    }

    // MARK: Security events

    private mutating func happen() {
        for template in DemoEvent.all {
            let minutesAgo = template.minutesAgo ?? (0..<template.count).map { _ in Int.random(in: 3..<1440, using: &generator) }
            for minutes in minutesAgo {
                let moment = calendar.now - .seconds(60 * minutes)
                let person = template.subject.flatMap { subject in
                    DemoPerson.everybody.filter { $0.days > 1 && subject.includes($0) }.randomElement(using: &generator)
                }
                events.append(
                    DemoRows.Event(
                        id: generator.uuid(at: moment).description, occurredAt: moment.date, type: template.type,
                        severity: template.severity.rawValue, userId: person.flatMap { ids[$0.email]?.uuid.description },
                        ip: template.network.map { $0 + String(Int.random(in: 2...250, using: &generator)) },
                        metadata: .init(details: template.details, source: "attune:demo", context: template.context)))
            }
        }
    }
}
