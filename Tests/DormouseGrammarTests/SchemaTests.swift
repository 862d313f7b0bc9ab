import DormouseSupport
import Testing

@testable import DormouseGrammar

/// Schemas against the verdicts of `jsonschema`, and what the compact form writes.
@Suite struct SchemaTests {
  private func recognizer(_ schema: JSON, _ form: SchemaOptions.Form) throws -> (Recognizer, SchemaGrammar) {
    let maker = try SchemaGrammar(schema, Grammar(Expressions()), SchemaOptions(form: form))
    return (Recognizer(maker.grammar, start: try maker.start()), maker)
  }

  private func accepts(_ recognizer: Recognizer, _ text: String) -> Bool {
    var copy = recognizer
    return text.utf8.allSatisfy { copy.advance($0) } && copy.isComplete
  }

  /// 400 random schemas with ten instances each: see Tests/Fixtures/constraints/generate.py.
  @Test func verdictsAreThoseOfJSONSchema() throws {
    var (judged, refused) = (0, 0)
    let file = try File(path: Fixtures.path("constraints/schemas.jsonl"))
    for line in String(decoding: try file.readAll(limit: 1 << 24), as: UTF8.self).split(separator: "\n") {
      let document = try JSON.parse(argument: String(line), name: "schemas.jsonl", limits: JSON.Limits())
      let schema = try #require(document["schema"])
      let tests = try #require(document["tests"]?.arrayValue).compactMap(\.arrayValue)
      do {
        let (recognizer, maker) = try recognizer(schema, .any)
        for test in tests {
          let (text, isValid) = (try #require(test[0].stringValue), try #require(test[1].boolValue))
          #expect(accepts(recognizer, text) == isValid, "\(schema.text()): \(text)")
          judged += 1
        }
        withExtendedLifetime(maker) {}
      } catch let failure as Failure {
        // Refused by name, or truly without any value.
        refused += 1
        if failure.message.contains("allows no value") {
          #expect(tests.allSatisfy { $0[1].boolValue == false })
        } else {
          #expect(failure.status == .unsupported)
        }
      }
    }
    #expect(judged > 3000 && refused < 100)
  }

  @Test(arguments: [
    (
      "{\"type\": \"integer\"}", "{\"$schema\": \"http://json-schema.org/draft-04/schema#\", \"type\": \"integer\"}",
      "1.0"
    ),
    (
      "{\"exclusiveMinimum\": 3}",
      "{\"$schema\": \"http://json-schema.org/draft-04/schema#\", \"minimum\": 2, \"exclusiveMinimum\": true}", "3"
    ),
  ])
  func draftsDiffer(_ new: String, _ old: String, _ text: String) throws {
    let verdicts = try [new, old].map { schema in
      let (recognizer, maker) = try recognizer(
        JSON.parse(argument: schema, name: "schema", limits: JSON.Limits()), .any)
      defer { withExtendedLifetime(maker) {} }
      return accepts(recognizer, text)
    }
    #expect(verdicts[0] != verdicts[1])
  }

  @Test(arguments: [
    ("{ \"a\" : [ 1 , 2 ] }", false), ("{\"a\":[1,2]}", true), ("{\"b\":1,\"a\":[]}", false),
    ("{\"a\":[],\"b\":1}", true),
    ("{\"a\":[],\"\\u0062\":1}", false), ("{\"a\":[1.0]}", false), ("{\"b\":1}", false),
  ])
  func compactIsOneOrderWithoutWhitespace(_ text: String, _ isCompact: Bool) throws {
    let schema: JSON = [
      "type": "object", "properties": ["a": ["items": ["type": "integer"], "type": "array"], "b": [:]],
      "required": ["a"],
    ]
    let (compact, first) = try recognizer(schema, .compact)
    let (any, second) = try recognizer(schema, .any)
    #expect(accepts(compact, text) == isCompact)
    #expect(accepts(any, text) == (text != "{\"b\":1}"))
    withExtendedLifetime((first, second)) {}
  }

  /// References are relative to the `$id` around them, and that to the one around it.
  @Test func referencesFollowTheNamesAroundThem() throws {
    let schema: JSON = [
      "$id": "folder/root.json", "$ref": "sub/item.json",
      "$defs": [
        "item": [
          "$id": "sub/item.json", "properties": ["a": ["$ref": "#/$defs/own"], "b": ["$ref": "../other.json#here"]],
          "$defs": ["own": ["type": "integer"]],
        ],
        "other": [
          "$id": "other.json", "$defs": ["x": ["$anchor": "here", "$ref": "#/$defs/y"], "y": ["const": "y"]],
        ],
      ],
    ]
    let (recognizer, maker) = try recognizer(schema, .any)
    for (text, isValid) in [
      ("{\"a\":1,\"b\":\"y\"}", true), ("{\"a\":\"1\"}", false), ("{\"b\":\"x\"}", false), ("{}", true),
    ] {
      #expect(accepts(recognizer, text) == isValid, "\(text)")
    }
    withExtendedLifetime(maker) {}
  }

  @Test(arguments: [
    ("date", "2024-02-29", true), ("date", "2023-02-29", false), ("time", "23:59:60Z", true),
    ("time", "24:00:00Z", false),
    ("date-time", "2024-01-31T12:00:00.5+01:00", true), ("date-time", "2024-01-31 12:00:00Z", false),
    ("duration", "P1Y2M3DT4H5M6S", true), ("duration", "P1M2Y", false), ("duration", "P", false),
    ("email", "a.b@example.org", true), ("email", "a@", false), ("hostname", "a-b.c", true), ("hostname", "-a", false),
    ("ipv4", "255.0.0.1", true), ("ipv4", "256.0.0.1", false), ("ipv4", "01.0.0.1", false), ("ipv6", "::1", true),
    ("ipv6", "1:2:3:4:5:6:7:8", true), ("ipv6", "1::2::3", false), ("ipv6", "::ffff:1.2.3.4", true),
    ("uri", "http://a@b:80/c?d#e", true), ("uri", "urn:a:b", true), ("uri", "/a/b", false),
    ("uri", "http://a b", false),
    ("uuid", "2EB8AA08-AA98-11EA-B4AA-73B441D16380", true), ("uuid", "2eb8aa08", false), ("no-such", "anything", true),
  ])
  func formatsAreAsserted(_ format: String, _ text: String, _ isValid: Bool) throws {
    let (recognizer, maker) = try recognizer(["type": "string", "format": .string(format)], .compact)
    #expect(accepts(recognizer, JSON.string(text).text()) == isValid)
    withExtendedLifetime(maker) {}
  }
}
