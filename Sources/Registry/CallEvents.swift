import Domain
import Reporting
import Wire

/// What a call came to, as far as security events go into it.
public struct CallOutcome: Equatable, Sendable {
    /// Nil: it succeeded.
    let refusal: APIError.Code?
    let disclosure: Disclosure?

    init(refusal: APIError.Code? = nil, disclosure: Disclosure? = nil) {
        self.refusal = refusal
        self.disclosure = disclosure
    }
}

/// Security events of calls: refused access, limits, what administrators do, and who reads very much.
struct CallEvents: Sendable {
    let log: SecurityLog
    private let readings: ReadingMeter

    init(log: SecurityLog) {
        self.log = log
        readings = ReadingMeter(log: log)
    }

    /// Notes one call. Most are of no interest, and cost next to nothing.
    func note(
        _ outcome: CallOutcome, of function: FunctionDefinition, as caller: Caller, from address: IPAddress, requestID: RequestID?
    ) {
        guard outcome.refusal != nil || outcome.disclosure != nil || function.access == .admin else { return }
        let origin = CallOrigin(address: address, function: function.path, requestID: requestID?.description)
        if let disclosure = outcome.disclosure, let reader = caller.principal { readings.note(disclosure, to: reader, origin) }
        switch outcome.refusal {
        // What anybody may call, `auth:signIn`, refuses by its own rules, and `Accounts` reports that.
        case .unauthorized where function.access != .anyone: reportAnonymous(function, origin)
        case .forbidden: reportForbidden(function, caller, origin)
        case .rateLimited where function.access != .anyone:
            log.reportLimit(user: caller.principal?.userID, session: caller.principal?.sessionID, from: origin)
        default:
            if function.access == .admin { reportAdministration(outcome, function, caller, origin) }
        }
    }

    /// Mostly a page that asks before its user has signed in, so that only how often it happens is of interest.
    private func reportAnonymous(_ function: FunctionDefinition, _ origin: CallOrigin) {
        log.report(
            SecurityEventType.accessRefused, .low, "A call of \(function.path) was refused: it was made without signing in.",
            origin: origin, context: [("code", .string(APIError.Code.unauthorized.rawValue))],
            series: .init("anonymous \(origin.address.network)", individually: 1))
    }

    private func reportForbidden(_ function: FunctionDefinition, _ caller: Caller, _ origin: CallOrigin) {
        log.report(
            SecurityEventType.accessRefused, .medium, "A call of \(function.path) was refused: the caller may not do that.",
            user: caller.principal?.userID, session: caller.principal?.sessionID, origin: origin,
            context: [("code", .string(APIError.Code.forbidden.rawValue))],
            series: .init("\(origin.address.network) \(caller.principal?.userID.description ?? "")"))
    }

    private func reportAdministration(
        _ outcome: CallOutcome, _ function: FunctionDefinition, _ caller: Caller, _ origin: CallOrigin
    ) {
        let isRead = function.kind == .query
        log.report(
            SecurityEventType.adminAction, isRead ? .low : .medium, "An administrator called \(function.path).",
            user: caller.principal?.userID, session: caller.principal?.sessionID, origin: origin,
            context: [("outcome", .string(outcome.refusal?.rawValue ?? "success"))],
            // Each change counts; pages that show how things are may ask again and again.
            series: isRead ? .init("\(caller.principal?.userID.description ?? "") \(function.path)") : nil)
    }
}

extension FunctionRunner {
    /// Reports what a client is shown of a live query when it first gets an answer. Later runs answer nobody's call.
    ///
    /// - Parameter duration: how long the client has waited for it.
    public func reportAnswer(
        _ outcome: CallOutcome, of function: FunctionDefinition, as caller: Caller, from clientAddress: IPAddress,
        after duration: Duration
    ) {
        usage?.note(function.name, by: caller, took: duration, hasFailed: outcome.refusal == .internalError)
        events?.note(outcome, of: function, as: caller, from: clientAddress, requestID: nil)
    }

    /// Reports that a socket is closed since its client asks for more than a limit allows.
    public func reportLimit(of caller: Caller, from clientAddress: IPAddress) {
        events?.log.reportLimit(
            user: caller.principal?.userID, session: caller.principal?.sessionID, from: CallOrigin(address: clientAddress))
    }
}

extension FunctionRunner.QueryRun {
    public var callOutcome: CallOutcome {
        switch outcome {
        case .success: CallOutcome(disclosure: disclosure)
        case .failure(let failure): CallOutcome(refusal: failure.error.code)
        }
    }
}
