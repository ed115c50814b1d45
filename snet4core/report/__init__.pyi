from .page import check_report as check_report
from .page import write_report as write_report
