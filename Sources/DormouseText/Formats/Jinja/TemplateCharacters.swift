/// Classes of characters as Python's `str` methods see them.
extension Unicode.Scalar {
  /// `str.isspace`, which `strip()`, `split()` and the `\s` of Python's regular expressions share.
  var isPythonSpace: Bool {
    switch value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  /// The line ends of `str.splitlines`.
  var isPythonLineEnd: Bool {
    switch value {
    case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  /// `str.isprintable`, which decides what `repr` escapes.
  var isPythonPrintable: Bool {
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    case .spaceSeparator: value == 0x20
    default: true
    }
  }

  var isPythonAlphabetic: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  var isPythonDecimal: Bool { properties.generalCategory == .decimalNumber }

  var isPythonDigit: Bool { properties.numericType == .decimal || properties.numericType == .digit }

  var isPythonNumeric: Bool { properties.numericType != nil }

  var isPythonAlphanumeric: Bool { isPythonAlphabetic || isPythonNumeric }

  /// The `\w` of Python's regular expressions.
  var isPythonWord: Bool { value == 0x5F || isPythonAlphanumeric }

  var isPythonUppercase: Bool { properties.isUppercase }
  var isPythonLowercase: Bool { properties.isLowercase }
  var isPythonTitlecase: Bool { properties.generalCategory == .titlecaseLetter }
  var isPythonCased: Bool { isPythonUppercase || isPythonLowercase || isPythonTitlecase }
}
