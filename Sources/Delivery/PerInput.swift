import Events

/// A value for each input. Nil as the input stands for records that cannot be read, so that nobody knows where they came from.
struct PerInput<Value> {
    private var values: [Value]

    private static var count: Int { 1 + Int(Input.allCases.map(\.rawValue).max()!) }

    init(repeating value: Value) {
        values = Array(repeating: value, count: Self.count)
    }

    init(_ value: (Input?) -> Value) {
        values = (0..<Self.count).map { value(Input(rawValue: UInt8($0))) }
    }

    subscript(input: Input?) -> Value {
        get { values[Int(input?.rawValue ?? 0)] }
        set { values[Int(input?.rawValue ?? 0)] = newValue }
    }

    /// In the order of the ledger.
    static var inputs: [Input?] { Input.allCases + [nil] }
}

extension PerInput: Sendable where Value: Sendable {}

extension Input? {
    /// As in the ledger and in metrics.
    var ledgerName: String { self?.name ?? "unknown" }

    init?(ledgerName: String) {
        guard let input = PerInput<Int>.inputs.first(where: { $0.ledgerName == ledgerName }) else { return nil }
        self = input
    }
}
