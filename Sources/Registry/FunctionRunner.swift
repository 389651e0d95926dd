import Accounts
import Domain
import Logging
import Metrics
import Postgres
import Reporting
import Store
import Usage
import Wire

/// Finds functions by name and runs them, whoever calls: HTTP, a socket, a live query's next tick.
public struct FunctionRunner: Sendable {
    /// By their names as stock clients write them: `messages:list`.
    private let functions: [String: FunctionDefinition]
    private let metrics: [String: RunMetrics]
    private let database: PostgresClient
    private let accounts: Accounts
    private let cursors: CursorCoder
    let events: CallEvents?
    let usage: UsageMeter?
    private let logger: Logger

    /// - Parameters:
    ///   - cursorSecret: signs pagination cursors; the same on all workers.
    ///   - events: gets what is of interest of the calls; nil: nobody wants to know.
    ///   - usage: is told of each call; nil: nobody counts.
    public init(
        functions: [FunctionDefinition], database: PostgresClient, accounts: Accounts, cursorSecret: [UInt8], events: SecurityLog?,
        usage: UsageMeter?, logger: Logger
    ) {
        self.functions = Dictionary(functions.map { ($0.path.description, $0) }) { first, _ in
            preconditionFailure("two functions are named \(first.path)")
        }
        metrics = self.functions.mapValues(RunMetrics.init)
        self.database = database
        self.accounts = accounts
        cursors = CursorCoder(secret: cursorSecret)
        self.events = events.map(CallEvents.init)
        self.usage = usage
        self.logger = logger
    }

    // MARK: Finding

    /// A function by the name a client gave, whatever its kind.
    ///
    /// - Parameter isPublicCall: false for the routes by which developers call functions; they get a different sentence.
    public func find(_ name: String, isPublicCall: Bool = true, requestID: RequestID) throws(FunctionFailure) -> FunctionDefinition {
        if let function = functions[name] { return function }
        // Some clients write `messages.js:list`, or leave out `default`.
        let canonicalName = FunctionPath(name)?.description
        guard let canonicalName, let function = functions[canonicalName] else {
            let shown = canonicalName ?? String(name.prefix(128))
            let text = isPublicCall
                ? "Could not find public function for '\(shown)'."
                : "Could not find function for '\(shown)'. Did you forget to run the newest version?"
            throw FunctionFailure(APIError(.notFound, text), requestID: requestID, text: text)
        }
        return function
    }

    /// A function by name, which has to be of `kind`.
    public func find(_ name: String, as kind: FunctionKind, requestID: RequestID) throws(FunctionFailure) -> FunctionDefinition {
        let function = try find(name, requestID: requestID)
        guard function.kind == kind || (kind == .mutation && function.isAlsoMutation) else {
            let text = "Trying to execute \(function.path.inFile) as \(kind.rawValue), but it is defined as \(function.kind.rawValue)."
            throw FunctionFailure(APIError(.validationError, text), requestID: requestID, text: text)
        }
        return function
    }

    /// The arguments as clients send them: one object, or an array that holds just that.
    public func decodeArguments(
        _ json: JSON, of function: FunctionDefinition, requestID: RequestID
    ) throws(FunctionFailure) -> ConvexValue {
        var object = json
        if case .array(let elements) = json {
            guard elements.count == 1 else {
                let text = "Expected to receive a single object as the function's argument. Instead received \(elements.count) arguments."
                throw FunctionFailure(
                    APIError(.validationError, text, details: ["path": ""]), requestID: requestID, text: "ArgumentValidationError: \(text)")
            }
            object = elements[0]
        }
        let value: ConvexValue
        do {
            value = try ConvexValue(decoding: object)
        } catch {
            let text = "Invalid arguments for \(function.path.inFile): \(error)"
            throw FunctionFailure(APIError(.validationError, text, details: ["path": ""]), requestID: requestID, text: text)
        }
        guard case .object = value else {
            let text = "Expected to receive an object as the function's argument."
            throw FunctionFailure(
                APIError(.validationError, text, details: ["path": ""]), requestID: requestID, text: "ArgumentValidationError: \(text)")
        }
        return value
    }

    // MARK: Running

    /// A query's result and what it depends on, whether it succeeded or failed.
    public struct QueryRun: Sendable {
        public let outcome: Result<[UInt8], FunctionFailure>
        public let topics: Set<Topic>
        /// What makes a later run cover the same range; nil for queries without pages.
        public let journal: String?
        /// How much of what is confidential the result shows.
        let disclosure: Disclosure?

        init(outcome: Result<[UInt8], FunctionFailure>, topics: Set<Topic>, journal: String?, disclosure: Disclosure?) {
            self.outcome = outcome
            self.topics = topics
            self.journal = journal
            self.disclosure = disclosure
        }

        /// A failure without a run.
        public init(failure: FunctionFailure, topics: Set<Topic>, journal: String?) {
            self.init(outcome: .failure(failure), topics: topics, journal: journal, disclosure: nil)
        }
    }

    /// Runs a query against `snapshot`, or on the shared read connections.
    ///
    /// Throws only when the database could not be asked; the query's own failure is an outcome, live like any other.
    ///
    /// - Parameter clientAddress: nil for a run of a live query, which is nobody's call: what clients are first shown of it is
    ///   reported by `reportAnswer`.
    public func runQuery(
        _ function: FunctionDefinition, arguments: ConvexValue, caller: Caller, clientAddress: IPAddress?,
        snapshot: (any StatementExecutor)? = nil, journal: String? = nil, format: JSONWriter.ValueFormat = .convexEncoded,
        requestID: RequestID
    ) async throws -> QueryRun {
        guard case .query(let body) = function.body else { preconditionFailure("\(function.path) is no query") }
        let dependencies = Dependencies()
        let context = QueryContext(
            caller: caller, database: snapshot ?? database.reading, dependencies: dependencies, cursors: cursors,
            journal: journal)
        let call = Call(function, caller, clientAddress, requestID)
        let outcome: Result<[UInt8], FunctionFailure>
        do {
            try function.access.check(caller)
            outcome = .success(try await body(arguments, context, format))
            succeeded(call, dependencies.disclosure)
        } catch {
            outcome = .failure(try failure(of: call, error))
        }
        return QueryRun(
            outcome: outcome, topics: dependencies.topics, journal: dependencies.journal ?? journal,
            disclosure: dependencies.disclosure)
    }

    /// Runs a mutation over HTTP, where a repeated request cannot be told from a second one.
    ///
    /// When it returns a success, the commit is durable.
    public func runMutation(
        _ function: FunctionDefinition, arguments: ConvexValue, caller: Caller, clientAddress: IPAddress,
        format: JSONWriter.ValueFormat = .convexEncoded, requestID: RequestID
    ) async throws -> Result<[UInt8], FunctionFailure> {
        guard case .mutation(let body) = function.body else {
            return try await runAction(
                function, arguments: arguments, caller: caller, clientAddress: clientAddress, format: format, requestID: requestID)
        }
        let call = Call(function, caller, clientAddress, requestID)
        do {
            try function.access.check(caller)
            let result = try await body(arguments, MutationContext(caller: caller, target: .database(database)), format)
            succeeded(call)
            return .success(result)
        } catch {
            return .failure(try failure(of: call, error))
        }
    }

    /// Runs a mutation at most once for its `request`, however often and on whichever worker it is asked for.
    ///
    /// The request is recorded in the mutation's own transaction. A repeat gets the first one's result, as JSON in Convex's
    /// encoding; only a new record's commit will come through the change feed.
    public func runMutation(
        _ function: FunctionDefinition, arguments: ConvexValue, caller: Caller, request: MutationRequest, clientAddress: IPAddress,
        requestID: RequestID
    ) async throws -> Result<MutationRequests.Recorded, FunctionFailure> {
        guard case .mutation(let body) = function.body else {
            let outcome = try await runAction(
                function, arguments: arguments, caller: caller, clientAddress: clientAddress, requestID: requestID)
            return outcome.map { MutationRequests.Recorded(result: $0, isNew: false) }
        }
        let call = Call(function, caller, clientAddress, requestID)
        do {
            try function.access.check(caller)
            let recorded = try await MutationRequests.once(request, userID: caller.principal?.userID, in: database) { transaction in
                try await body(arguments, MutationContext(caller: caller, target: .transaction(transaction)), .convexEncoded)
            }
            succeeded(call)
            return .success(recorded)
        } catch {
            return .failure(try failure(of: call, error))
        }
    }

    public func runAction(
        _ function: FunctionDefinition, arguments: ConvexValue, caller: Caller, clientAddress: IPAddress,
        format: JSONWriter.ValueFormat = .convexEncoded, requestID: RequestID
    ) async throws -> Result<[UInt8], FunctionFailure> {
        guard case .action(let body) = function.body else { preconditionFailure("\(function.path) is no action") }
        let call = Call(function, caller, clientAddress, requestID)
        let origin = CallOrigin(address: clientAddress, function: function.path, requestID: requestID.description)
        let context = ActionContext(caller: caller, accounts: accounts, database: database, origin: origin)
        do {
            try function.access.check(caller)
            let result = try await body(arguments, context, format)
            succeeded(call)
            return .success(result)
        } catch {
            return .failure(try failure(of: call, error))
        }
    }

    /// The database could not be asked, or did not say what became of the call.
    public struct Unavailable: Error, Sendable {
        public let reason: PostgresError
        public init(reason: PostgresError) {
            self.reason = reason
        }

        /// The call certainly had no effect, so that it can be made again.
        public var hadNoEffect: Bool { reason.hadNoEffect }
    }

    /// One call under way.
    private struct Call {
        let function: FunctionDefinition
        let caller: Caller
        /// Nil: nobody calls.
        let clientAddress: IPAddress?
        let requestID: RequestID
        let started = ContinuousClock.now

        init(_ function: FunctionDefinition, _ caller: Caller, _ clientAddress: IPAddress?, _ requestID: RequestID) {
            self.function = function
            self.caller = caller
            self.clientAddress = clientAddress
            self.requestID = requestID
        }
    }

    private func succeeded(_ call: Call, _ disclosure: Disclosure? = nil) {
        measure(call, "success")
        report(call, CallOutcome(disclosure: disclosure))
    }

    /// - Parameter hasFailed: by our fault.
    private func measure(_ call: Call, _ outcome: String, hasFailed: Bool = false) {
        let duration = ContinuousClock.now - call.started
        let name = call.function.name
        metrics[name]?.record(outcome, duration)
        guard let usage, call.clientAddress != nil else { return }
        usage.note(name, by: call.caller, took: duration, hasFailed: hasFailed)
    }

    private func report(_ call: Call, _ outcome: CallOutcome) {
        guard let events, let address = call.clientAddress else { return }
        events.note(outcome, of: call.function, as: call.caller, from: address, requestID: call.requestID)
    }

    /// What the caller is told of an error that came out of a function.
    private func failure(of call: Call, _ error: any Error) throws(Unavailable) -> FunctionFailure {
        switch error {
        case let failure as ValidationFailure:
            measure(call, APIError.Code.validationError.rawValue)
            report(call, CallOutcome(refusal: .validationError))
            return .arguments(failure, requestID: call.requestID)
        case let error as APIError:
            measure(call, error.code.rawValue, hasFailed: error.code == .internalError)
            report(call, CallOutcome(refusal: error.code))
            return FunctionFailure(error, requestID: call.requestID)
        case let error as PostgresError where error.isUnavailability:
            measure(call, "unavailable", hasFailed: true)
            throw Unavailable(reason: error)
        default:
            measure(call, APIError.Code.internalError.rawValue, hasFailed: true)
            report(call, CallOutcome(refusal: .internalError))
            // PostgresError prints no data; other errors are ours and print none either.
            logger.error(
                "function failed",
                metadata: ["function": "\(call.function.path)", "request-id": "\(call.requestID)", "error": "\(error)"])
            return .unexpected(requestID: call.requestID)
        }
    }
}

/// How often one function was run, what came of it, and how long that took; live queries that run again included.
private struct RunMetrics: Sendable {
    private let duration: Metrics.Timer
    private let outcomes: [String: Counter]

    init(_ function: FunctionDefinition) {
        let labels = [("function", "\(function.path)"), ("kind", function.kind.rawValue)]
        duration = Metrics.Timer(label: "attune_function_duration", dimensions: labels)
        let names = ["success", "unavailable"] + APIError.Code.allCases.map(\.rawValue)
        outcomes = Dictionary(
            uniqueKeysWithValues: names.map { outcome in
                (outcome, Counter(label: "attune_function_runs_total", dimensions: labels + [("outcome", outcome)]))
            })
    }

    func record(_ outcome: String, _ elapsed: Duration) {
        let (seconds, attoseconds) = elapsed.components
        duration.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        outcomes[outcome]?.increment()
    }
}

extension FunctionRunner {
    /// Runs several queries in one snapshot, and gives their outcomes in the same order.
    public func runQueries(
        _ calls: [(path: String, arguments: JSON, format: JSONWriter.ValueFormat)], caller: Caller, clientAddress: IPAddress
    ) async throws -> [Result<[UInt8], FunctionFailure>] {
        try await database.withTransaction(.snapshot) { snapshot in
            var outcomes: [Result<[UInt8], FunctionFailure>] = []
            for call in calls {
                outcomes.append(
                    try await runQuery(
                        call.path, call.arguments, caller: caller, clientAddress: clientAddress, snapshot: snapshot, format: call.format))
            }
            return outcomes
        }
    }

    /// Finds and runs a query in a snapshot; whatever is wrong with the call is its outcome.
    public func runQuery(
        _ name: String, _ arguments: JSON, caller: Caller, clientAddress: IPAddress, snapshot: any StatementExecutor,
        format: JSONWriter.ValueFormat
    ) async throws -> Result<[UInt8], FunctionFailure> {
        let requestID = RequestID.random()
        let function: FunctionDefinition
        let value: ConvexValue
        do {
            function = try find(name, as: .query, requestID: requestID)
            value = try decodeArguments(arguments, of: function, requestID: requestID)
        } catch {
            return .failure(error)
        }
        return try await runQuery(
            function, arguments: value, caller: caller, clientAddress: clientAddress, snapshot: snapshot, format: format,
            requestID: requestID
        ).outcome
    }
}
