import Wire

/// A result type that is an object: its fields are listed once, for encoding and for the documents.
public protocol ConvexObject: ConvexEncodable {
    static var shape: ObjectShape<Self> { get }
}

extension ConvexObject {
    public static var validator: Validator { .object(shape.fields.map(\.field)) }
    public func encode(into writer: inout JSONWriter) { shape.encode(self, into: &writer) }
    private var shape: ObjectShape<Self> { Self.shape }
}

/// The fields of an object type, in the order in which they are written.
public struct ObjectShape<Root>: Sendable {
    public struct Property: Sendable {
        let field: Validator.Field
        let encode: @Sendable (Root, inout JSONWriter) -> Void

        @usableFromInline
        init(field: Validator.Field, encode: @escaping @Sendable (Root, inout JSONWriter) -> Void) {
            self.field = field
            self.encode = encode
        }

        // Inlinable so that each field's writing is compiled for its type: lists write hundreds of them.

        /// A field that is always there.
        @inlinable
        public static func required<Value: ConvexEncodable>(
            _ name: String, _ value: @escaping @Sendable (Root) -> Value
        ) -> Property {
            let key = JSONWriter.encodedKey(name)
            return Property(field: .init(name, Value.validator)) { root, writer in
                writer.key(encoded: key)
                value(root).encode(into: &writer)
            }
        }

        /// A field that is left out, not null, when it has no value (convex-protocol.md 2).
        @inlinable
        public static func optional<Value: ConvexEncodable>(
            _ name: String, _ value: @escaping @Sendable (Root) -> Value?
        ) -> Property {
            let key = JSONWriter.encodedKey(name)
            return Property(field: .init(name, Value.validator, isOptional: true)) { root, writer in
                guard let value = value(root) else { return }
                writer.key(encoded: key)
                value.encode(into: &writer)
            }
        }
    }

    let fields: [Property]

    public init(_ fields: Property...) {
        self.fields = fields
    }

    /// Appends the object, field by field.
    public func encode(_ root: Root, into writer: inout JSONWriter) {
        writer.beginObject()
        for field in fields { field.encode(root, &writer) }
        writer.endObject()
    }
}
