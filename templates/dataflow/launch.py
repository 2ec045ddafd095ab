"""What Google's launcher of the Flex Template starts: FLEX_TEMPLATE_PYTHON_PY_FILE."""

import sys

from pipeline.flex_template import main

if __name__ == "__main__":
    sys.exit(main())
