import Delivery
import Domain
import Events
import Wire

/// Events as JSON, one in each line. The first line may be a greeting instead:
///
///     {"attune": "ack", "token": "…"}
///
/// `attune` is `ack` if the sender wants to hear how many of its lines are durable, or `plain`, which is the default. `token` is
/// needed where the input asks for one.
struct EventStreamFormat: StreamFormat {
    /// What the greeting has to prove, if anything.
    private let token: IngestToken?
    private let reader: EventReader
    private let input: Input
    private var framing = LineFraming()
    private var isFirstLine = true
    private(set) var acknowledges = false
    var isConversation: Bool { true }

    /// - Parameter source: of events that name none.
    init(_ input: Input, token: IngestToken?, source: String) {
        self.input = input
        self.token = token
        reader = EventReader(defaultSource: source)
    }

    var unfinishedBytes: Int { framing.unfinishedBytes }

    mutating func take(
        _ bytes: UnsafeRawBufferPointer, receivedAt: Instant, into batch: inout IntakeBatch
    ) throws(EndOfConversation) {
        try takeFrames(&batch, receivedAt) { $0.take(bytes, $1) }
    }

    mutating func finish(receivedAt: Instant, into batch: inout IntakeBatch) {
        try? takeFrames(&batch, receivedAt) { $0.finish($1) }
    }

    private mutating func takeFrames(
        _ batch: inout IntakeBatch, _ receivedAt: Instant, _ cut: (inout LineFraming, (Frame) -> Void) -> Void
    ) throws(EndOfConversation) {
        var end: EndOfConversation?
        var framing = framing
        self.framing = LineFraming()
        cut(&framing) { frame in
            guard end == nil else { return }
            switch frame {
            case .message(let line):
                if isFirstLine {
                    isFirstLine = false
                    do throws(EndOfConversation) {
                        if try greet(line) { return }
                    } catch {
                        end = error
                        return
                    }
                }
                do throws(EventRejection) {
                    try batch.add(reader.read(line, receivedAt: receivedAt), input: input)
                } catch {
                    batch.addRejected(line, error, input: input, at: receivedAt)
                }
            case .rejected(let beginning, let why), .lost(let beginning, let why):
                guard !isFirstLine || token == nil else { return end = Self.tokenMissing }
                isFirstLine = false
                batch.addRejected(beginning, why, input: input, at: receivedAt)
            }
        }
        self.framing = framing
        if let end { throw end }
    }

    /// - Returns: whether the line is a greeting, and not an event.
    private mutating func greet(_ line: UnsafeRawBufferPointer) throws(EndOfConversation) -> Bool {
        guard let greeting = Greeting(line) else {
            if EndOfConversation.isHTTP(line) { throw .isHTTP }
            if token != nil { throw Self.tokenMissing }
            return false
        }
        if let token, !token.matches((greeting.token ?? "").utf8) { throw Self.tokenMissing }
        guard let mode = Mode(rawValue: greeting.mode) else { throw EndOfConversation(notice: "attune is neither ack nor plain") }
        acknowledges = mode == .ack
        return true
    }

    private enum Mode: String {
        case ack, plain
    }

    private static let tokenMissing = EndOfConversation(notice: "the first line has to have the token")
}

/// A first line that is no event.
private struct Greeting {
    var mode = "plain"
    var token: String?

    /// Nil if the line is something else.
    init?(_ line: UnsafeRawBufferPointer) {
        // Long lines are events.
        guard line.count <= 1024, case .object(let members)? = try? JSON(parsing: line), !members.isEmpty else { return nil }
        for member in members {
            switch (member.key, member.value) {
            case ("attune", .string(let text)): mode = text
            case ("token", .string(let text)): token = text
            default: return nil
            }
        }
    }
}
