import Domain
import Wire

extension MetricDefinition {
    /// All definitions by place and field: `{"SystemMetrics": {"activeUsers": "Users who …"}, …}`.
    public static let json: [UInt8] = JSONWriter.bytes { writer in
        writer.beginObject()
        for place in Place.allCases {
            writer.key(place.rawValue)
            writer.beginObject()
            for definition in all(of: place) {
                writer.key(definition.field)
                writer.string(definition.sentence)
            }
            writer.endObject()
        }
        writer.endObject()
    }
}
