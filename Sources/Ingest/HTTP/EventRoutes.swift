import Delivery
import Domain
import Events
import HTTPTypes
import Hummingbird
import Wire

/// `POST /v1/events`: one event, an array, JSON lines, or CloudEvents in any of their forms. Answered when all that it tells of
/// is durable.
struct EventRoutes: Sendable {
    let intake: Intake
    let token: IngestToken
    let bodies: IncomingBodies

    private let reader = EventReader(defaultSource: "http")
    private var limits: RequestLimits { bodies.limits }

    init(intake: Intake, token: IngestToken, bodies: IncomingBodies) {
        self.intake = intake
        self.token = token
        self.bodies = bodies
    }

    func add(to router: Router<BasicRequestContext>) {
        router.post("v1/events") { request, _ in try await receive(request) }
    }

    private func receive(_ request: Request) async throws -> Response {
        try authorize(request)
        let receivedAt = Instant.now()
        if let headers = cloudEventHeaders(of: request) {
            return try await bodies.withBody(of: request) { body in
                try await store(read(body, asDataOf: headers, receivedAt: receivedAt))
            }
        }
        guard let format = request.headers[.contentType].flatMap(EventBody.Format.init(contentType:)) else {
            throw RequestFailure.unsupported(
                """
                Content-Type must be application/json, application/x-ndjson, application/cloudevents+json or \
                application/cloudevents-batch+json.
                """)
        }
        return try await bodies.withBody(of: request) { body in
            try await store(read(body, format: format, receivedAt: receivedAt))
        }
    }

    private func authorize(_ request: Request) throws(RequestFailure) {
        let words = request.headers[.authorization]?.split(separator: " ", maxSplits: 1) ?? []
        guard words.count == 2, words[0].lowercased() == "bearer", token.matches(words[1].utf8) else {
            var failure = RequestFailure(.unauthorized, .unauthorized, "Send the token: Authorization: Bearer …")
            failure.endsConnection = true
            throw failure
        }
    }

    // MARK: Reading

    /// The headers that make a request one CloudEvent, with its data as the body (CloudEvents' HTTP binding, 3.1); by their
    /// names in lower case.
    private func cloudEventHeaders(of request: Request) -> [String: String]? {
        guard request.headers[.cloudEventVersion] != nil else { return nil }
        var headers: [String: String] = [:]
        for field in request.headers where field.name.canonicalName.hasPrefix("ce-") || field.name == .contentType {
            headers[field.name.canonicalName] = field.value
        }
        return headers
    }

    private func read(_ body: [UInt8], asDataOf headers: [String: String], receivedAt: Instant) -> ReadEvents {
        var events = ReadEvents(maximumTold: limits.rejectionsTold, receivedAt: receivedAt)
        let event = Result { () throws(EventRejection) in
            try reader.readBinaryCloudEvent(headers: headers, body: body[...], receivedAt: receivedAt)
        }
        events.add(event, index: 0, raw: body[...])
        return events
    }

    private func read(_ body: [UInt8], format: EventBody.Format, receivedAt: Instant) async throws -> ReadEvents {
        if let nothing = Self.whyNothing(in: body, format: format) { throw RequestFailure.invalid(nothing) }
        var events = ReadEvents(maximumTold: limits.rejectionsTold, receivedAt: receivedAt)
        var reports = EventBody(body, format: format, reader: reader, receivedAt: receivedAt)
        while let report = reports.next() {
            events.add(report.result, index: report.index, raw: body[report.raw])
            guard events.count <= limits.events else {
                throw RequestFailure.tooLarge("A request may have \(limits.events) events at most.")
            }
            // Others want the thread too.
            if events.count.isMultiple(of: Self.eventsInOneGo) { await Task.yield() }
        }
        return events
    }

    /// Why a body is not worth a dead letter: nobody ever meant it as events.
    private static func whyNothing(in body: [UInt8], format: EventBody.Format) -> String? {
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = body.starts(with: byteOrderMark) ? body.dropFirst(byteOrderMark.count) : body[...]
        guard let first = text.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else { return "The body is empty." }
        guard format == .json, first != UInt8(ascii: "{"), first != UInt8(ascii: "[") else { return nil }
        return "The body is neither a JSON object nor an array of them."
    }

    /// Takes some milliseconds.
    private static let eventsInOneGo = 1000

    // MARK: Storing

    private func store(_ events: consuming ReadEvents) async throws -> Response {
        let receipt: Receipt
        do throws(IntakeError) {
            receipt = try await intake.accept(events.batch)
        } catch {
            switch error {
            case .full:
                throw RequestFailure.full("There is no room for more events until some have been stored.", retryAfter: .seconds(5))
            case .failed: throw RequestFailure.unavailable("Events cannot be kept at the moment.")
            case .closed: throw RequestFailure.unavailable("This process is stopping.")
            }
        }
        let hasEvents = events.eventCount > 0 || events.rejectionCount == 0
        return Response(
            status: hasEvents ? .accepted : .badRequest,
            json: JSONWriter.bytes { writer in
                writer.beginObject()
                if !hasEvents {
                    writer.field("code")
                    writer.string(APIError.Code.validationError.rawValue)
                    writer.field("message")
                    writer.string("There is no event in it that can be understood.")
                }
                writer.field("accepted")
                writer.integer(receipt.accepted)
                writer.field("duplicates")
                writer.integer(receipt.duplicates)
                writer.field("rejected")
                writer.beginArray()
                for rejection in events.rejections {
                    writer.beginObject()
                    writer.field("index")
                    writer.integer(rejection.index)
                    writer.field("reason")
                    writer.string(rejection.reason)
                    writer.endObject()
                }
                writer.endArray()
                writer.field("rejectedCount")
                writer.integer(events.rejectionCount)
                writer.endObject()
            })
    }
}

extension HTTPField.Name {
    fileprivate static let cloudEventVersion = HTTPField.Name("ce-specversion")!
}
