import DormouseSupport
import Testing

@testable import DormouseText

/// Sizes at the end of the integers: refused like any other that is too large, never computed with.
@Suite struct TemplateSizeTests {
  @Test(arguments: [
    "{{ [1] * 9223372036854775807 }}", "{{ (1, 2) * 9223372036854775807 }}",
    "{{ [1]|batch(9223372036854775807, 0)|list }}", "{{ [1]|slice(9223372036854775807)|list }}",
    "{{ 'a' * 9223372036854775807 }}", "{{ 'a'|indent(9223372036854775807) }}",
    "{{ 'a'.center(9223372036854775807) }}", "{{ 'a'|center(9223372036854775807) }}",
    "{{ [1]|tojson(indent=9223372036854775807) }}",
  ])
  func hugeCountsAreRefused(source: String) {
    #expect { try TemplateFixtures.render(source) } throws: { error in
      (error as? Failure)?.status == .malformed
    }
  }
}
