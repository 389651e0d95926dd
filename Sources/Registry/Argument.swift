import Wire

/// One field of a function's arguments.
public struct Argument<Value: Sendable>: Sendable {
    let field: Validator.Field
    /// Reads the field, nil when it is absent, from the object `arguments`.
    let decode: @Sendable (ConvexValue?, _ arguments: ConvexValue, Validator) throws(ValidationFailure) -> Value
}

extension Argument where Value: ConvexDecodable {
    /// A field that has to be there.
    public static func required(_ name: String, _ type: Value.Type = Value.self) -> Argument {
        Argument(field: .init(name, Value.validator)) { (value, arguments, validator) throws(ValidationFailure) in
            guard let value else {
                throw ValidationFailure(reason: .missingField(name), path: "", value: arguments, validator: validator)
            }
            return try Value.decode(value, at: ".\(name)")
        }
    }
}

extension Argument {
    /// A field that may be absent, never null.
    public static func optional<Wrapped: ConvexDecodable>(
        _ name: String, _ type: Wrapped.Type = Wrapped.self
    ) -> Argument where Value == Wrapped? {
        Argument(field: .init(name, Wrapped.validator, isOptional: true)) { (value, _, _) throws(ValidationFailure) in
            guard let value else { return nil }
            return try Wrapped.decode(value, at: ".\(name)")
        }
    }
}

/// The arguments of one function: an object with exactly the listed fields, read as a tuple of their values.
public struct Arguments<Values: Sendable>: Sendable {
    let validator: Validator
    let decode: @Sendable (ConvexValue) throws -> Values

    // Parameter packs stay in here: handlers are generic over one type, the tuple.
    public init<each Value: Sendable>(_ arguments: repeat Argument<each Value>) where Values == (repeat each Value) {
        var fields: [Validator.Field] = []
        for argument in repeat each arguments { fields.append(argument.field) }
        let names = Set(fields.map(\.name))
        let validator = Validator.object(fields)
        self.validator = validator
        decode = { value in
            guard case .object(let given) = value else { throw ValidationFailure.mismatch(at: "", value: value, validator: validator) }
            let values = (repeat try (each arguments).decode(value[(each arguments).field.name], value, validator))
            for field in given where !names.contains(field.name) {
                throw ValidationFailure(reason: .extraField(field.name), path: "", value: value, validator: validator)
            }
            return values
        }
    }
}

/// Reads the fields of a nested object, and refuses fields that nobody has read.
public struct ObjectReader {
    private let value: ConvexValue
    private let path: String
    private let validator: Validator

    public init(_ value: ConvexValue, at path: String, validator: Validator) throws(ValidationFailure) {
        guard case .object(let given) = value, case .object(let fields) = validator else {
            throw .mismatch(at: path, value: value, validator: validator)
        }
        self.value = value
        self.path = path
        self.validator = validator
        for field in fields where !field.isOptional && value[field.name] == nil {
            throw ValidationFailure(reason: .missingField(field.name), path: path, value: value, validator: validator)
        }
        for field in given where !fields.contains(where: { $0.name == field.name }) {
            throw ValidationFailure(reason: .extraField(field.name), path: path, value: value, validator: validator)
        }
    }

    /// A required field; its presence has been checked.
    public func required<Value: ConvexDecodable>(_ name: String) throws(ValidationFailure) -> Value {
        try Value.decode(value[name] ?? .null, at: "\(path).\(name)")
    }

    public func optional<Value: ConvexDecodable>(_ name: String) throws(ValidationFailure) -> Value? {
        guard let field = value[name] else { return nil }
        return try Value.decode(field, at: "\(path).\(name)")
    }

    /// A field that may be null but not absent: `cursor: string | null`.
    public func nullable<Value: ConvexDecodable>(_ name: String) throws(ValidationFailure) -> Value? {
        guard let field = value[name], field != .null else { return nil }
        return try Value.decode(field, at: "\(path).\(name)")
    }
}
