import Domain
import Models
import Registry
import Testing
import Wire

@Suite("Definitions of numbers")
struct MetricDefinitionTests {
    private static func validator(of place: MetricDefinition.Place) -> Validator {
        switch place {
        case .systemMetrics: SystemMetrics.validator
        case .userAnalytics: UserAnalytics.validator
        case .series: ActivityBucket.validator
        case .retention: RetentionCohort.validator
        }
    }

    @Test(
        "every field of the results has one, in the fields' order, and there is none besides",
        arguments: MetricDefinition.Place.allCases)
    func completeness(_ place: MetricDefinition.Place) {
        guard case .object(let fields) = Self.validator(of: place) else { return #expect(Bool(false), "not an object") }
        #expect(MetricDefinition.all(of: place).map(\.field) == fields.map(\.name))
    }

    @Test("each is one sentence without a point at its end")
    func sentences() {
        for place in MetricDefinition.Place.allCases {
            for definition in MetricDefinition.all(of: place) {
                let isSentence = definition.sentence.first?.isLowercase == false && !definition.sentence.contains(". ")
                #expect(isSentence && definition.sentence.last != ".", "\(definition.sentence)")
            }
        }
    }

    @Test("pages get them by object and field")
    func json() throws {
        let json = try JSON(parsing: MetricDefinition.json)
        for place in MetricDefinition.Place.allCases {
            for definition in MetricDefinition.all(of: place) {
                #expect(json[place.rawValue]?[definition.field] == .string(definition.sentence))
            }
        }
    }
}
