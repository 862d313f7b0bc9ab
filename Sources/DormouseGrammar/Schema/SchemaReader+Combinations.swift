import DormouseSupport

/// `oneOf`, conditions and dependencies: what alternatives a schema comes to.
extension SchemaReader {
  /// Exactly one of these.
  func oneOf(_ nodes: [SchemaNode], within outer: [Shape]) throws(Failure) -> [Shape] {
    var alternatives: [[Shape]] = []
    for node in nodes { alternatives.append(try shapes.intersection(outer, try shapes.shapes(of: node))) }
    var result: [Shape] = []
    for (index, alternative) in alternatives.enumerated() where !alternative.isEmpty {
      var alone = alternative
      for (other, second) in alternatives.enumerated() where other != index && !alone.isEmpty {
        let common = try shapes.intersection(alone, second)
        if common.isEmpty { continue }
        alone = try shapes.intersection(alone, try shapes.shapes(of: document.complement(of: nodes[other])))
      }
      result += alone
    }
    try shapes.checkCount(result.count)
    return result
  }

  /// `if`, `then` and `else`.
  func condition(_ keywords: JSONObject) throws(Failure) -> [Shape] {
    guard let condition = keywords["if"], document.draft >= .seven,
      keywords["then"] != nil || keywords["else"] != nil
    else { return [shapes.anything] }
    let node = child(condition, "if")
    var then = try shapes.shapes(of: node)
    if let value = keywords["then"] {
      then = try shapes.intersection(then, try shapes.shapes(of: child(value, "then")))
    }
    var otherwise = try shapes.shapes(of: document.complement(of: node))
    if let value = keywords["else"] {
      otherwise = try shapes.intersection(otherwise, try shapes.shapes(of: child(value, "else")))
    }
    return then + otherwise
  }

  enum Dependency {
    case names([ExactString])
    case schema(SchemaNode)
  }

  func dependencies(_ keywords: JSONObject) throws(Failure) -> [(ExactString, Dependency)] {
    var result: [(ExactString, Dependency)] = []
    for key in ["dependencies", "dependentRequired", "dependentSchemas"] {
      guard let value = keywords[key] else { continue }
      guard let members = value.objectValue else { throw wrong(key, value, "an object") }
      for (name, needed) in members {
        if needed.arrayValue != nil {
          result.append((ExactString(name), .names(try strings(needed, key))))
        } else if case .string(let only) = needed {
          result.append((ExactString(name), .names([ExactString(only)])))
        } else {
          let path = SchemaDocument.path(SchemaDocument.path(path, key), name)
          result.append((ExactString(name), .schema(document.node(needed, path: path, base: base))))
        }
      }
    }
    return result
  }

  /// Either there is no member of the name, or there is and more holds.
  func dependent(_ name: ExactString, _ needed: Dependency) throws(Failure) -> [Shape] {
    var without = shapes.anything
    without.object = ObjectShape(parts: [.init(names: [name], properties: [name: [document.never()]])])
    var with = Shape()
    with.object = ObjectShape(required: [name])
    switch needed {
    case .names(let names):
      with.object = ObjectShape(required: [name] + names.filter { $0 != name })
      return [without, with]
    case .schema(let node): return [without] + (try shapes.intersection([with], try shapes.shapes(of: node)))
    }
  }
}
