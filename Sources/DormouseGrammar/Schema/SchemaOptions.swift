/// How the values that a schema allows are written.
struct SchemaOptions: Sendable, Equatable {
  enum Form: Sendable {
    /// In the schema's order of members, without whitespace, characters escaped only where they must be.
    case compact
    /// In every way that JSON has.
    case any
  }

  var form = Form.compact
}
