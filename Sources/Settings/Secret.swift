/// A value that must not appear in logs: it prints as stars, also inside other values.
public struct Secret<Value: Sendable>: Sendable {
    /// The value itself, for the one place that needs it.
    public let revealed: Value

    public init(_ value: Value) {
        revealed = value
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "*****" }
    public var debugDescription: String { description }
    /// `dump` and interpolated structs look here.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret: Equatable where Value: Equatable {}
